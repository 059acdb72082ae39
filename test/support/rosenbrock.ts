/** Rosenbrock's function over neighbours, Σ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², and its gradient. */
export function rosenbrock(x: ArrayLike<number>) {
  const gradient = new Float64Array(x.length);
  let value = 0;
  for (let i = 0; i + 1 < x.length; i += 1) {
    const off = x[i + 1]! - x[i]! ** 2;
    value += 100 * off ** 2 + (1 - x[i]!) ** 2;
    gradient[i]! += -400 * x[i]! * off - 2 * (1 - x[i]!);
    gradient[i + 1]! += 200 * off;
  }
  return { value, gradient };
}
