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

/** A shader of the engine's: its text and the layouts of its structs. */
declare module "*.wgsl?engine" {
  const shader: {
    readonly code: string;
    readonly structs: Readonly<Record<string, import("./engine/memory/struct.js").StructLayout>>;
  };
  export default shader;
}
