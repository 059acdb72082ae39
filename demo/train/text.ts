import { OptimError } from "../../src/errors.js";

/** The characters of a text, as numbers: a line feed is 0, printable ASCII 1 to 95. */
export const toCharacters = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => (character === "\n" ? 0 : character.charCodeAt(0) - 31));

/** The text of {@link toCharacters}. */
export const toText = (characters: Iterable<number>): string =>
  Array.from(characters, (one) => (one === 0 ? "\n" : String.fromCharCode(one + 31))).join("");

/**
 * Loads the text from beside the page.
 * @throws OptimError where it did not arrive, or has other characters
 */
export async function loadText(url = "/text/documentation.txt"): Promise<Uint8Array> {
  const response = await fetch(url);
  const text = response.status === 200 ? await response.text() : "";
  if (!/^[\n\x20-\x7e]{100000,}$/.test(text))
    throw new OptimError("invalid-argument", `${url} is not the text to learn`, {
      expected: "status 200 and at least 100 000 characters of printable ASCII",
      got: `status ${response.status} and ${text.length} characters`,
      fix: "run the job by its script, which installs the packages it needs",
    });
  return toCharacters(text);
}
