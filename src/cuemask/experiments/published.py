"""What the paper prints: tables 1 to 4 (Liu et al., MICCAI 2020), in percent."""

from __future__ import annotations

from typing import NamedTuple


class Printed(NamedTuple):
    """Figures of one method in one row, in percent; deviations where the paper gives them."""

    iou: float
    dice: float
    iou_deviation: float | None = None
    dice_deviation: float | None = None


# Table 1: which diffusion losses are added to the anchor loss (foreground, background); setting SS.
LOSSES = {
    (False, False): Printed(49.47, 64.21),
    (True, False): Printed(50.78, 65.16),
    (False, True): Printed(67.26, 78.94),
    (True, True): Printed(70.56, 81.15),
}

# Table 2: cues, and under Otsu the positive anchor, 1 - the negative anchor, and the network's probability; setting SS.
# The ticks are lost in the text at hand; single cues are known from the authors' figures, the pairs are inferred.
POSITIVE, NEGATIVE, NETWORK = "positive anchor", "1 - negative anchor", "network"
CUES: dict[tuple[str, ...], dict[str, Printed]] = {
    ("color",): {
        POSITIVE: Printed(55.60, 69.21),
        NEGATIVE: Printed(55.60, 69.21),
        NETWORK: Printed(45.27, 60.09),
    },
    ("objectness",): {
        POSITIVE: Printed(16.01, 26.57),
        NEGATIVE: Printed(16.01, 26.57),
        NETWORK: Printed(14.23, 23.57),
    },
    ("location",): {
        POSITIVE: Printed(16.90, 28.11),
        NEGATIVE: Printed(16.90, 28.11),
        NETWORK: Printed(21.32, 33.97),
    },
    ("objectness", "location"): {
        POSITIVE: Printed(20.28, 32.48),
        NEGATIVE: Printed(18.93, 30.99),
        NETWORK: Printed(47.39, 62.51),
    },
    ("color", "location"): {
        POSITIVE: Printed(41.44, 57.00),
        NEGATIVE: Printed(19.21, 31.46),
        NETWORK: Printed(43.74, 59.30),
    },
    ("color", "objectness"): {
        POSITIVE: Printed(38.69, 53.70),
        NEGATIVE: Printed(22.09, 35.19),
        NETWORK: Printed(63.27, 75.56),
    },
    ("color", "objectness", "location"): {
        POSITIVE: Printed(38.64, 53.73),
        NEGATIVE: Printed(18.53, 30.56),
        NETWORK: Printed(70.56, 81.15),
    },
}

# Table 3, by supervision in percent of the frames, and setting; and what it quotes of others.
SUPERVISION = {
    (100, "TT"): Printed(81.55, 88.83, 14.52, 11.50),
    (50, "TT"): Printed(80.33, 87.94, 14.69, 11.53),
    (0, "TT"): Printed(67.85, 79.42, 15.94, 13.59),
    (0, "SS"): Printed(70.56, 81.15, 16.09, 13.79),
}
SUPERVISION_OF_OTHERS = {
    (100, "U-Net"): Printed(75.44, 84.37, 18.18, 14.58),
    (100, "TernausNet"): Printed(83.60, 90.01, 15.83, 12.50),
    (100, "MF-TAPNet"): Printed(87.56, 93.37, 16.24, 12.93),
    (50, "Semi-MF-TAPNet"): Printed(80.03, 88.07, 16.87, 13.15),
}

# Table 4: skin lesions, ISIC 2016.
LESIONS = {
    (100, "TT"): Printed(83.6, 90.3),
    (50, "TT"): Printed(81.1, 88.6),
    (0, "TT"): Printed(63.3, 74.9),
    (0, "SS"): Printed(64.4, 75.7),
}
LESIONS_OF_OTHERS = {(100, "challenge winner"): Printed(84.3, 91.0)}
