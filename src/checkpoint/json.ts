import { OptimError } from "../errors.js";
import { isWellFormed, quoted } from "./format.js";

/**
 * Reads JSON whose form the caller knows, value by value, as strictly as Rust's serde_json and more strictly than
 * `JSON.parse`: no duplicate keys, no lone surrogates, numbers only as whole digits below 2^53. Keys go into a `Map`,
 * where `__proto__` is a name like any other. The caller's own nesting bounds the depth, and the time is linear.
 * All methods skip white space first and throw `invalid-checkpoint`.
 */
export class JsonReader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** An object; `value` reads the value of each key. */
  object<T>(value: (key: string) => T): Map<string, T> {
    const members = new Map<string, T>();
    this.#expect("{");
    if (this.#accept("}")) return members;
    do {
      this.#skipSpace();
      const start = this.#position;
      const key = this.string();
      if (members.has(key)) this.fail("each key once in an object", start);
      this.#expect(":");
      members.set(key, value(key));
    } while (this.#accept(","));
    this.#expect("}");
    return members;
  }

  /** A string. */
  string(): string {
    this.#skipSpace();
    const text = this.#text;
    const start = this.#position;
    if (text[start] !== '"') this.fail("a string");
    let end = start + 1;
    let escaped = false;
    for (; end < text.length; end++) {
      const unit = text.charCodeAt(end);
      if (unit === 0x22) break;
      if (unit < 0x20) this.fail("an escape in place of a control character", end);
      if (unit === 0x5c) {
        escaped = true;
        end++;
      }
    }
    if (end >= text.length) this.fail("a string that ends");
    const value = escaped ? unquote(text.slice(start, end + 1)) : text.slice(start + 1, end);
    if (value === undefined) return this.fail("a string with valid escapes, and no lone surrogate");
    this.#position = end + 1;
    return value;
  }

  /** An array of whole numbers from 0 to 2^53 - 1. */
  integers(): number[] {
    const values: number[] = [];
    this.#expect("[");
    if (this.#accept("]")) return values;
    do values.push(this.#integer());
    while (this.#accept(","));
    this.#expect("]");
    return values;
  }

  /** The end of the text. */
  end(): void {
    this.#skipSpace();
    if (this.#position < this.#text.length) this.fail("nothing but white space after the object");
  }

  /** Refuses what stands at `position`: where the reader is, or where it was. */
  fail(expected: string, position = this.#position): never {
    throw new OptimError(
      "invalid-checkpoint",
      `The header of the safetensors file is wrong at its character ${position}`,
      {
        expected,
        got:
          position < this.#text.length
            ? quoted(this.#text.slice(position, position + 24))
            : "the end of the header",
        fix: "write the file again, or take an unharmed copy",
      },
    );
  }

  #integer(): number {
    this.#skipSpace();
    const start = this.#position;
    let value = 0;
    for (;;) {
      const digit = this.#text.charCodeAt(this.#position) - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      this.#position++;
      // Exact up to here; also stops at the sixteenth digit or so, however many follow.
      if (value > Number.MAX_SAFE_INTEGER) this.fail("a whole number from 0 to 2^53 - 1", start);
    }
    // What follows in 1.0 and 1e3, which Rust refuses here as floating point, cannot follow a number in these arrays.
    const leadingZero = this.#text[start] === "0" && this.#position > start + 1;
    if (this.#position === start || leadingZero)
      this.fail("a whole number from 0 to 2^53 - 1, in digits alone", start);
    return value;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) this.fail(`"${character}"`);
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#position] !== character) return false;
    this.#position++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const character = this.#text[this.#position];
      if (character !== " " && character !== "\n" && character !== "\r" && character !== "\t") return;
      this.#position++;
    }
  }
}

/** The value of a quoted string, if it is valid JSON and well-formed. */
function unquote(token: string): string | undefined {
  try {
    const value: unknown = JSON.parse(token);
    return typeof value === "string" && isWellFormed(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
