// What the page draws: lines with uPlot, and stalls on a time line. What is drawn stands in a table as well.
const charts = (() => {
  const { digits, latency, percentile, percentileTicks, ticks } = numbers;
  const root = document.documentElement;
  const SVG = "http://www.w3.org/2000/svg";

  // As in a report: one dash pattern for each ink, so that lines differ without colour too.
  const DASHES = [[], [9, 4], [2, 3], [12, 3, 2, 3], [5, 3], [16, 5]];

  const ink = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const inkOf = (series) => ink(`--ink-${series.ink % DASHES.length}`);
  const dashOf = (series) => DASHES[(series.ink + Math.floor(series.ink / DASHES.length)) % DASHES.length];

  const drawn = (name, attributes, ...children) => {
    const node = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(...children);
    return node;
  };

  const swatch = (series) => drawn("svg", { viewBox: "0 0 34 10", "aria-hidden": "true" },
    drawn("line", { x1: 0, y1: 5, x2: 34, y2: 5, "stroke-dasharray": dashOf(series).join(" "), class: `ink-${series.ink % DASHES.length}` }));

  // Three digits and a unit: never wider than six letters.
  const rate = (value) => {
    const units = ["", "k", "M", "G"];
    let unit = 0;
    while (value >= 999.5 && unit < 3) {
      value /= 1000;
      unit += 1;
    }
    return `${value < 0.005 ? "0" : digits(value, 3)}${unit > 0 ? ` ${units[unit]}` : ""}`;
  };

  const ago = (seconds) => (seconds === 0 ? "now" : `−${-seconds} s`);

  // Rates over time: `x` is seconds before now.
  const overTime = {
    x: { min: -180, max: 0, log: false, label: "Seconds before the last look", format: ago, splits: () => [-180, -150, -120, -90, -60, -30, 0] },
    y: { log: false, label: "Frames a second", format: rate, range: (_, __, max) => [0, (max || 1) * 1.1] },
  };

  // Times by how rare they are.
  const overRarity = {
    x: { log: true, label: "Percentile p, logarithmic in 1/(1 − p)", format: percentile, splits: (max, room) => percentileTicks(max, room) },
    y: { log: true, label: "Residence", format: (ns) => latency(ns, 3), range: (_, min, max) => (min === null ? [100, 10_000] : [min / 1.2, max * 1.3]) },
  };

  class Lines {
    constructor(place, key, kind) {
      this.place = document.getElementById(place);
      this.key = document.getElementById(key);
      this.kind = kind;
      this.series = [];
      this.data = [[]];
      new ResizeObserver(() => this.fit()).observe(this.place);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    // Lines over one x axis; `data` as uPlot takes it. The plot is made anew only where its lines are others.
    show(series, data) {
      const isSame = series.length === this.series.length && series.every(({ name, ink }, index) => name === this.series[index].name && ink === this.series[index].ink);
      this.series = series;
      this.data = data;
      if (isSame && this.plot) this.plot.setData(data);
      else this.draw();
      this.tell();
    }

    draw() {
      this.plot?.destroy();
      this.plot = undefined;
      if (this.place.clientWidth === 0 || this.series.length === 0) return;
      this.plot = new uPlot(this.options(), this.data, this.place);
      this.key.replaceChildren(...this.series.map((series) => {
        const item = document.createElement("li");
        item.append(swatch(series), document.createTextNode(series.name));
        return item;
      }));
    }

    options() {
      const { x, y } = this.kind;
      return {
        width: this.place.clientWidth,
        height: this.place.clientHeight,
        padding: [12, 14, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, distr: x.log ? 3 : 1, range: (_, min, max) => [x.min ?? (min || 1), x.max ?? (max > min ? max : 10)] },
          y: { distr: y.log ? 3 : 1, range: y.range },
        },
        axes: this.axes(),
        series: [{}, ...this.series.map((series) => ({ stroke: () => inkOf(series), width: 2, dash: dashOf(series), points: { show: false }, spanGaps: false }))],
      };
    }

    axes() {
      const { x, y } = this.kind;
      const font = `12px ${ink("--sans")}`;
      // The ticks below are chosen already: nothing is left for uPlot to thin out.
      const look = { font, labelFont: font, filter: (_, splits) => splits, stroke: () => ink("--quiet"), labelGap: 4, grid: { stroke: () => ink("--grid"), width: 1 } };
      const most = (pixels, each) => Math.max(2, Math.floor(pixels / each));
      const within = (splits, min, max) => splits.filter((split) => split >= min * (min > 0 ? 0.999 : 1) && split <= max * (max > 0 ? 1.001 : 1));
      return [
        { ...look, label: x.label, labelSize: 22, size: 28, gap: 5, ticks: { stroke: () => ink("--grid"), size: 4 }, values: (_, splits) => splits.map((value) => x.format(value)),
          splits: (plot, _, min, max) => within(x.splits(max, most(plot.width - 70, 62)), min, max).filter((_, index, all) => all.length * 44 < plot.width - 60 || index % 2 === 0) },
        { ...look, label: y.label, labelSize: 20, size: 60, gap: 5, ticks: { show: false }, values: (_, splits) => splits.map((value) => y.format(value)),
          splits: (plot, _, min, max) => ticks(y.log, min, max, most(plot.height - 50, 40)) },
      ];
    }

    // What a test can rely on: how many points are drawn.
    tell() {
      const points = this.data.slice(1).flat().filter((value) => value !== null && value !== undefined).length;
      this.place.dataset.drawnPoints = String(points);
    }

    fit() {
      if (this.plot === undefined) this.draw();
      else if (this.place.clientWidth > 0 && (this.place.clientWidth !== this.plot.width || this.place.clientHeight !== this.plot.height)) {
        this.plot.setSize({ width: this.place.clientWidth, height: this.place.clientHeight });
      }
    }
  }

  // ---- Stalls on a time line: one row for each lane; how high a mark is says how long the stall was ----

  const ROW = 34;
  const LEFT = 62;
  // A mark's letters need so many pixels; where the next one is nearer, they are left out, and stand in the table.
  const LETTERS = 108;

  const markOf = (stall, at, top, limit, longest) => {
    const share = longest > limit ? Math.log(stall.length_ns / limit) / Math.log(longest / limit) : 1;
    const height = 7 + (ROW - 14) * Math.min(Math.max(share, 0), 1);
    const width = Math.max(at(stall.began_unix_ns + stall.length_ns) - at(stall.began_unix_ns), 3);
    return drawn("rect", { x: at(stall.began_unix_ns), y: top + ROW - height, width, height, "data-length-ns": stall.length_ns, "data-cause": stall.cause });
  };

  const lettersOf = (stalls, at, top, right) => {
    let free = -Infinity;
    return stalls.flatMap((stall, index) => {
      const x = at(stall.began_unix_ns);
      const next = index + 1 < stalls.length ? at(stalls[index + 1].began_unix_ns) : Infinity;
      const isLast = x + LETTERS > right;
      if ((isLast ? x - LETTERS < free : x < free) || (!isLast && next < x + LETTERS)) return [];
      free = x + (isLast ? 0 : LETTERS);
      const place = isLast ? { x: x - 6, "text-anchor": "end" } : { x: x + 8 };
      return [drawn("text", { ...place, y: top + ROW - 9, class: "said" }, `${latency(stall.length_ns, 3)} ${stall.cause}`)];
    });
  };

  const marksOf = (from, to, at, height, count) => Array.from({ length: count + 1 }, (_, index) => {
    const when = from + ((to - from) * index) / count;
    const anchor = index === 0 ? "start" : index === count ? "end" : "middle";
    const words = new Date(when / 1e6).toISOString().slice(11, 19);
    return [
      drawn("line", { x1: at(when), x2: at(when), y1: 0, y2: height, class: "tick" }),
      drawn("text", { x: at(when), y: height + 16, "text-anchor": anchor }, words),
    ];
  }).flat();

  // Lanes with their stalls, oldest first; from and to in ns since 1970.
  const timeline = (place, lanes, limit, from, to) => {
    const width = Math.max(place.clientWidth, 240);
    const at = (ns) => LEFT + ((width - LEFT - 4) * (ns - from)) / (to - from);
    const seen = lanes.map((lane) => lane.stalls.filter((stall) => stall.began_unix_ns + stall.length_ns >= from));
    const longest = Math.max(limit, ...seen.flat().map((stall) => stall.length_ns));
    const height = ROW * lanes.length;
    const rows = lanes.flatMap((lane, index) => [
      drawn("text", { x: 0, y: index * ROW + ROW - 9 }, `lane ${lane.index}`),
      drawn("line", { x1: LEFT, x2: width, y1: (index + 1) * ROW, y2: (index + 1) * ROW, class: "track" }),
      ...seen[index].map((stall) => markOf(stall, at, index * ROW, limit, longest)),
      ...lettersOf(seen[index], at, index * ROW, width),
    ]);
    place.replaceChildren(drawn("svg", { viewBox: `0 0 ${width} ${height + 20}`, height: height + 20 }, ...marksOf(from, to, at, height, width < 600 ? 2 : 5), ...rows));
    const count = seen.flat().length;
    place.setAttribute("aria-label", count === 0 ? "Time line of stalls: there was none in this time" : `Time line of stalls: ${count} of them, the longest ${latency(longest, 3)}; the table below has each`);
  };

  return { Lines, overRarity, overTime, rate, timeline };
})();
