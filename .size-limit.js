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

export default [
  {
    name: "one rule",
    path: "dist/index.js",
    import: "{ adam, createOptimizer }",
    limit: "21.65 kB",
    ...loading(),
  },
  {
    name: "a training run: rule, schedule, guards, telemetry, checkpoints",
    path: "dist/index.js",
    import: "{ adamw, createOptimizer, cosine, warmup }",
    limit: "50.7 kB",
    ...loading("guards/", "checkpoint/save", "loading"),
  },
];
