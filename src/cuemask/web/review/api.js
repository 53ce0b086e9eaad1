// Questions to the server. The token stands behind the # of the address, which browsers send to nobody.
const token = location.hash.slice(1);
export const tab = [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {
  constructor(status, told) {
    super([told.what, told.remedy].filter(Boolean).join(" ") || "The server did not answer as it should.");
    this.status = status;
    this.told = told;
  }
}

async function ask(path, query = {}, options = {}) {
  const address = `api/${path}?${new URLSearchParams({ ...query, tab })}`;
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { "X-Cuemask-Token": token } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { what: "cuemask review does not answer: it has ended.", remedy: "Start it again." });
  }
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const get = async (path, query) => (await ask(path, query)).json();
export const post = async (path, query, body) => (await ask(path, query, { method: "POST", body })).json();

// Also from a page that is being closed.
export const release = () => ask("release", {}, { method: "POST", keepalive: true }).catch(() => {});

export async function getFrame(query) {
  return createImageBitmap(await (await ask("frame", query)).blob());
}

export async function getExemplar(query) {
  return createImageBitmap(await (await ask("exemplar", query)).blob());
}

export const getMask = async (query) => readMask(await ask("mask", query));
export const postForMask = async (path, query, body) => readMask(await ask(path, query, { method: "POST", body }));

export async function getSuperpixels(query) {
  const values = new Uint16Array(await (await ask("superpixels", query)).arrayBuffer());
  return { height: values[0], width: values[1], labels: values.subarray(2) };
}

// Height, width and lengths of runs, of zeros first.
async function readMask(answer) {
  const runs = new Uint32Array(await answer.arrayBuffer());
  const data = new Uint8Array(runs[0] * runs[1]);
  for (let k = 2, place = 0; k < runs.length; place += runs[k], k += 1) {
    if (k % 2) data.fill(1, place, place + runs[k]);
  }
  return { height: runs[0], width: runs[1], data, runs, told: JSON.parse(answer.headers.get("X-Cuemask")) };
}

export function asRuns({ height, width, data }) {
  const runs = [height, width];
  let begin = 0;
  for (let value = 0; begin < data.length; value = 1 - value) {
    const found = data.indexOf(1 - value, begin);
    const end = found < 0 ? data.length : found;
    runs.push(end - begin);
    begin = end;
  }
  return new Uint32Array(runs);
}
