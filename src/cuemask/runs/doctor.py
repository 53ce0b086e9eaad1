"""What a bug report should say of a machine, and what is missing on it for which command."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cuemask import __version__

PACKAGES = (
    *("numpy", "opencv-contrib-python-headless", "av", "matplotlib", "torch", "safetensors", "onnxruntime", "onnx"),
    *("onnxscript", "starlette", "uvicorn", "pydicom", "highdicom"),
)


@dataclass(frozen=True)
class Finding:
    """One line of `cuemask doctor`.

    Attributes
    ----------
    what
        What was looked at.
    found
        What was found.
    remedy
        What to do about it; empty where nothing has to be done.
    """

    what: str
    found: str
    remedy: str = ""


def doctor(folder: str | Path = ".") -> list[Finding]:
    """Look at versions, processors, libraries and disk; loads torch and ONNX Runtime where they are installed.

    Parameters
    ----------
    folder
        Where results would be written; its disk is looked at.
    """
    findings = [
        Finding("cuemask", f"{__version__}, {Path(__file__).parents[1]}"),
        Finding("system", f"{platform.platform()}, {platform.machine()}"),
        Finding("python", f"{platform.python_version()}, {sys.executable}"),
        Finding("processors", _processors()),
    ]
    for look in (_packages, _opencv, _ffmpeg, _torch, _onnxruntime):
        findings += look()
    return [*findings, _disk(Path(folder)), Finding("telemetry", "none of ours; ONNX Runtime's is switched off")]


def table(findings: list[Finding]) -> str:
    """The findings as lines, each remedy below its own."""
    wide = max(len(one.what) for one in findings)
    lines: list[str] = []
    for one in findings:
        lines.append(f"{one.what:{wide}}  {one.found}")
        if one.remedy:
            lines.append(f"{'':{wide}}  -> {one.remedy}")
    return "\n".join(lines)


def _processors() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    return f"{usable} usable of {os.cpu_count()}" + "".join(f", {name}={value}" for name, value in threads.items())


def _packages() -> list[Finding]:
    versions: list[str] = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    findings = [Finding("packages", ", ".join(versions))]
    for extra, module, commands in (
        ("train", "torch", "segment, train, predict of a run"),
        ("runtime", "onnxruntime", "predict of MODEL.onnx, live, review"),
        ("export", "onnxscript", "export onnx"),
        ("dicom", "pydicom", "DICOM in, export dicom-seg"),
    ):
        if find_spec(module) is None:
            findings.append(Finding(f"without {module}", f"no {commands}", f"Run: pip install 'cuemask[{extra}]'"))
    return findings


def _opencv() -> list[Finding]:
    import cv2

    if not hasattr(cv2, "ximgproc"):
        remedy = "Run: pip install --force-reinstall --no-deps opencv-contrib-python-headless"
        return [Finding("opencv", f"{cv2.__version__} without its contrib modules: another wheel lies over it", remedy)]
    return [Finding("opencv", f"{cv2.__version__} with contrib, {cv2.getNumThreads()} threads")]


def _ffmpeg() -> list[Finding]:
    import av

    reads = [name for name in ("h264", "hevc", "mpeg2video", "vp9", "av1", "ffv1", "prores") if _has(name, "r")]
    writes = [name for name in ("libx264",) if _has(name, "w")]
    remedy = "" if "libx264" in writes else "overlay.mp4 cannot be made; run: pip install --force-reinstall av"
    return [Finding("video", f"av {av.__version__}, reads {', '.join(reads)}; writes {', '.join(writes)}", remedy)]


def _has(codec: str, mode: Literal["r", "w"]) -> bool:
    import av
    from av.error import FFmpegError

    try:
        av.Codec(codec, mode)
    except FFmpegError:
        return False
    return True


def _torch() -> list[Finding]:
    if find_spec("torch") is None:
        return []
    import torch

    from cuemask.learning.training import has_bfloat16

    gpus = (
        [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return [
        Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        Finding("bfloat16", "multiplied by this processor" if has_bfloat16("cpu") else "not multiplied here: float32"),
        Finding("CUDA", f"{torch.version.cuda}: {', '.join(gpus)}" if gpus else "no GPU that torch can use"),
    ]


def _onnxruntime() -> list[Finding]:
    if find_spec("onnxruntime") is None:
        return []
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return [Finding("onnxruntime", f"{onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}")]


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    remedy = "Free some space: a run of 10,000 frames needs about 1.5 GB." if free < 2 else ""
    return Finding("disk", f"{free:.1f} GB free in {folder.absolute()}", remedy)
