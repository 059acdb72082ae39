const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 110;
const HEIGHT = 24;

const shape = (name: string, attributes: Readonly<Record<string, string | number>>) => {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  return element;
};

/** Bars of how many values have which error; heights by the logarithm, so that rare large errors show. */
export function histogram(counts: readonly number[], bounds: readonly number[]): SVGSVGElement {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const bins = counts.map((count, index) => {
    const range = index < bounds.length ? `up to ${bounds[index]} ULP` : `above ${bounds.at(-1)} ULP`;
    return { count, text: `${range}: ${((100 * count) / total).toPrecision(3)} %` };
  });
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": bins.map(({ text }) => text).join(", "),
  }) as SVGSVGElement;
  const width = WIDTH / counts.length;
  svg.append(shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }));
  bins.forEach(({ count, text }, index) => {
    if (count === 0) return;
    const height = Math.max(1.5, (HEIGHT - 2) * (Math.log10(1 + count) / Math.log10(1 + total)));
    const bar = shape("rect", { x: index * width + 0.5, y: HEIGHT - 1 - height, width: width - 1, height });
    const title = shape("title", {});
    title.textContent = text;
    bar.append(title);
    svg.append(bar);
  });
  return svg;
}
