import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import type { StructLayout } from "./engine/memory/struct.js";

const isWord = (type: string): type is "f32" | "u32" => type === "f32" || type === "u32";

/** The layouts of all structs of a shader that hold nothing but f32 and u32. */
export function reflectStructs(code: string): Readonly<Record<string, StructLayout>> {
  const structs = new WgslReflect(code).structs.filter(({ members }) =>
    members.every(({ type, offset }, index) => isWord(type.name) && offset === 4 * index),
  );
  return Object.fromEntries(
    structs.map(({ name, members }) => [
      name,
      Object.fromEntries(members.map((member) => [member.name, member.type.name as "f32" | "u32"])),
    ]),
  );
}
