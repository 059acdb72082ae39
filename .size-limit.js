// What a page loads, in gzip. Dynamic imports are left out but for the parts that an entry names.
const loading = (...parts) => ({
  gzip: true,
  modifyEsbuildConfig: (config) => ({
    ...config,
    format: "esm",
    plugins: [
      {
        name: "loaded-later",
        setup(build) {
          build.onResolve({ filter: /.*/ }, ({ kind, path }) =>
            kind === "dynamic-import" && !parts.some((part) => path.includes(part))
              ? { path, external: true }
              : undefined,
          );
        },
      },
    ],
  }),
});

// What a client adds to the engine, which it imports.
const client = (name) => ({
  name: `client ${name}, beyond the engine`,
  path: `dist/clients/${name}.js`,
  limit: "4 kB",
  gzip: true,
  modifyEsbuildConfig: (config) => ({
    ...config,
    format: "esm",
    plugins: [
      {
        name: "client-only",
        setup(build) {
          build.onResolve({ filter: /.*/ }, ({ kind, path }) =>
            kind === "entry-point" || path.startsWith(`./${name}`) ? undefined : { path, external: true },
          );
        },
      },
    ],
  }),
});

export default [
  client("jax"),
  {
    name: "one rule",
    path: "dist/index.js",
    import: "{ adam, createOptimizer }",
    limit: "21.9 kB",
    ...loading(),
  },
  {
    name: "a training run: rule, schedule, guards, telemetry, checkpoints",
    path: "dist/index.js",
    import: "{ adamw, createOptimizer, cosine, warmup }",
    limit: "51 kB",
    ...loading("guards/", "checkpoint/save", "loading"),
  },
  {
    name: "one rule under tfjs: at most 4 kB more",
    import: { "dist/index.js": "{ adam }", "dist/clients/tfjs.js": "{ createTfjsOptimizer }" },
    limit: "25.4 kB",
    ...loading(),
    ignore: ["@tensorflow/tfjs-core"],
  },
];
