/** A rule's WGSL file with what the build read from it. */
declare module "*.wgsl" {
  const shader: import("./rule.js").RuleShader;
  export default shader;
}

declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}

/** WGSL that is no rule: its text. */
declare module "*.wgsl?raw" {
  const code: string;
  export default code;
}

/** A shader of the engine's: its text, the layouts of its structs and its whole numbers. */
declare module "*.wgsl?engine" {
  export const code: string;
  export const structs: Readonly<Record<string, import("./engine/memory/struct.js").StructLayout>>;
  export const constants: Readonly<Record<string, number>>;
}
