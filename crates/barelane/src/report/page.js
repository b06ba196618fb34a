// Draws the charts of a report with uPlot, from the data that stands in the page itself.
//
// Every number was worked out before the page was written; here are lines, axes, colours and keys only. Without
// this script the page still says everything: each chart has its table. All text goes in through textContent, so
// nothing from a measurement is ever read as markup.
(() => {
  const { digits, latency, percent, percentile, percentileTicks, ticks } = numbers;
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("chart-data").textContent);

  // One dash pattern for each ink, so that lines differ without colour too; in CSS pixels. Where there are more lines than
  // inks, the second of an ink has the next pattern.
  const DASHES = [[], [9, 4], [2, 3], [12, 3, 2, 3], [5, 3], [16, 5]];

  const DOTS = [3, 7];

  const ink = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const inkOf = (series) => ink(`--ink-${series.ink % DASHES.length}`);
  const dashOf = (series) => DASHES[(series.ink + Math.floor(series.ink / DASHES.length)) % DASHES.length];

  const FORMATS = {
    latency: (value, count) => latency(value, count),
    percentile: (value) => percentile(value),
    seconds: (value, count) => `${digits(value, count)} s`,
    count: (value, count) => digits(value, Math.max(count, 7)),
    share: (value, count) => percent(value, count),
  };

  // ---- One chart ----

  // uPlot's own padding of a logarithmic scale rounds to whole powers of ten; a latency rarely fills one.
  const rangeOf = (isLog, kind) => (_, min, max) => {
    if (min === null || max === null) return [1, 10];
    if (isLog) return [min / (kind === "latency" ? 1.12 : 2), max * 1.3];
    return [Math.max(0, min - (max - min) * 0.05), max + (max - min) * 0.05 || 1];
  };

  const scalesOf = (chart, points, isLog) => {
    const [first, last] = [points[0], points[points.length - 1]];
    return {
      x: { time: false, distr: chart.x.log ? 3 : 1, range: (_, min, max) => (min === max ? [first * 0.9, last * 1.1 + 1] : [min, max]) },
      y: { distr: isLog ? 3 : 1, range: chart.y.from_zero ? (_, __, max) => [0, (max || 1) * 1.1] : rangeOf(isLog, chart.y.kind) },
    };
  };

  const axesOf = (chart, isLog) => {
    const font = `12px ${ink("--sans")}`;
    // The ticks below are chosen already: nothing is left for uPlot to thin out.
    const look = { font, labelFont: font, filter: (_, splits) => splits, stroke: () => ink("--quiet"), labelGap: 4 };
    const grid = { stroke: () => ink("--grid"), width: 1 };
    const format = (axis) => (_, splits) => splits.map((value) => FORMATS[axis.kind](value, 3));
    const most = (pixels, each) => Math.max(2, Math.floor(pixels / each));
    return [
      {
        ...look, grid, label: chart.x.label, labelSize: 22, size: 30, gap: 6, ticks: { ...grid, size: 5 }, values: format(chart.x),
        splits: (plot, _, min, max) => {
          const room = most(plot.width - 70, 68);
          return chart.x.kind === "percentile" ? percentileTicks(max, room).filter((tick) => tick >= min * 0.999) : ticks(chart.x.log, min, max, room);
        },
      },
      {
        ...look, grid, label: chart.y.label, labelSize: 20, size: 62, gap: 6, ticks: { show: false }, values: format(chart.y),
        splits: (plot, _, min, max) => ticks(isLog, min, max, most(plot.height - 50, 42)),
      },
    ];
  };

  const pathsOf = (chart) => {
    if (chart.shape === "steps") return uPlot.paths.stepped({ align: 1 });
    if (chart.shape === "bars") return uPlot.paths.bars({ size: [0.9, 24, 2], align: 1 });
    return undefined;
  };

  const seriesOf = (chart, all, points) => all.map((series) => ({
    label: series.name,
    stroke: () => inkOf(series),
    fill: chart.shape === "line" ? undefined : () => `${inkOf(series)}${all.length > 1 ? "14" : "30"}`,
    fillTo: chart.shape === "steps" ? (plot) => plot.scales.y.min : undefined,
    width: chart.shape === "bars" ? 1 : 2,
    dash: series.is_dotted ? [] : dashOf(series),
    paths: series.is_dotted ? () => null : pathsOf(chart),
    points: series.is_dotted ? { show: true, size: 4, width: 1, fill: () => inkOf(series) } : { show: points.length < 3 },
    spanGaps: false,
  }));

  // Marks behind the lines: when the probe itself stood still. Never thinner than two pixels, or nobody would see it.
  const drawMarks = (chart) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const mark of chart.marks) {
      const from = plot.valToPos(mark.from, "x", true);
      const width = Math.max(plot.valToPos(mark.to, "x", true) - from, 2 * devicePixelRatio);
      if (from > bbox.left + bbox.width || from + width < bbox.left) continue;
      ctx.fillStyle = ink("--stall-area");
      ctx.fillRect(from, bbox.top, width, bbox.height);
      ctx.fillStyle = ink("--stall");
      ctx.fillRect(from, bbox.top, width, 3 * devicePixelRatio);
    }
    ctx.restore();
  };

  class Chart {
    constructor(chart) {
      this.chart = chart;
      this.figure = document.getElementById(chart.id);
      this.place = this.figure.querySelector(".plot");
      this.readout = this.figure.querySelector(".readout");
      this.legend = this.figure.querySelector(".legend");
      this.view = 0;
      this.isLog = chart.y.log;
      this.hidden = new Set();
      this.listen();
      this.draw();
    }

    // The lines of the chosen view over one x axis: where a table has no point of its own, the line goes on.
    choose() {
      const { tables } = this.chart.views[this.view];
      this.series = tables.flatMap((table) => table.series);
      this.data = uPlot.join(tables.map((table) => [table.x, ...table.series.map((series) => series.y)]));
      this.labels = new Map(tables.flatMap((table) => table.x.map((value, index) => [value, table.labels[index]])));
    }

    draw() {
      this.plot?.destroy();
      this.choose();
      const compact = this.place.clientWidth < 520;
      const options = {
        width: this.place.clientWidth,
        height: compact ? Math.min(this.chart.height, 300) : this.chart.height,
        padding: [12, 18, 0, 4],
        scales: scalesOf(this.chart, this.data[0], this.isLog),
        axes: axesOf(this.chart, this.isLog),
        series: [{}, ...seriesOf(this.chart, this.series, this.data[0])],
        legend: { show: false },
        cursor: {
          y: false,
          points: { size: 9, width: 2, fill: () => ink("--paper"), stroke: (_, index) => inkOf(this.series[index - 1]) },
          drag: { x: true, y: false },
          sync: this.chart.sync ? { key: this.chart.sync } : undefined,
        },
        hooks: {
          drawAxes: [drawMarks(this.chart)],
          setCursor: [() => this.read()],
          draw: [() => this.tell()],
          setScale: [(plot, key) => key === "x" && this.showZoom(plot)],
        },
      };
      this.plot = new uPlot(options, this.data, this.place);
      this.hidden.forEach((index) => index < this.series.length && this.plot.setSeries(index + 1, { show: false }));
      this.drawLegend();
    }

    // What a test, or whoever saved the page, can rely on: how many points this chart has drawn.
    tell() {
      const points = this.series.reduce((sum, series) => sum + series.y.filter((value) => value !== null).length, 0);
      this.place.dataset.drawnPoints = String(points);
    }

    drawLegend() {
      this.legend.replaceChildren(...this.series.map((series, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", String(!this.hidden.has(index)));
        button.append(swatch(series), document.createTextNode(series.name));
        button.addEventListener("click", () => this.toggle(index, button));
        const item = document.createElement("li");
        item.append(button);
        return item;
      }));
    }

    toggle(index, button) {
      const isShown = this.hidden.has(index);
      if (isShown) this.hidden.delete(index);
      else this.hidden.add(index);
      button.setAttribute("aria-pressed", String(isShown));
      this.plot.setSeries(index + 1, { show: isShown });
    }

    // What is under the cursor, in words.
    read() {
      const { idx, idxs } = this.plot.cursor;
      if (idx === null || idx === undefined) {
        this.readout.textContent = "";
        return;
      }
      const told = this.series.flatMap((series, at) => {
        const value = this.plot.data[at + 1][idxs[at + 1]];
        return typeof value !== "number" || this.hidden.has(at) ? [] : [`${series.name} ${FORMATS[this.chart.y.kind](value, 4)}`];
      });
      const at = this.data[0][idx];
      const where = this.chart.x.kind === "percentile" ? this.labels.get(at) : FORMATS[this.chart.x.kind](at, 4);
      this.readout.textContent = `${where}: ${told.length > 0 ? told.join(" · ") : "nothing here"}`;
    }

    showZoom(plot) {
      const points = plot.data[0];
      const isWhole = plot.scales.x.min <= points[0] && plot.scales.x.max >= points[points.length - 1];
      this.figure.querySelector(".whole").hidden = isWhole;
    }

    whole() {
      const points = this.plot.data[0];
      this.plot.setScale("x", { min: points[0], max: points[points.length - 1] });
    }

    listen() {
      this.figure.querySelector(".controls").hidden = false;
      this.figure.querySelectorAll("input[data-view]").forEach((input) => input.addEventListener("change", () => {
        this.view = Number(input.dataset.view);
        this.draw();
      }));
      this.figure.querySelectorAll("input[data-log]").forEach((input) => input.addEventListener("change", () => {
        this.isLog = input.dataset.log === "true";
        this.draw();
      }));
      this.figure.querySelector(".whole").addEventListener("click", () => this.whole());
      this.place.addEventListener("keydown", (event) => this.key(event));
      this.place.addEventListener("blur", () => this.plot.setCursor({ left: -10, top: -10 }));
    }

    key(event) {
      const last = this.plot.data[0].length - 1;
      const at = this.plot.cursor.idx ?? -1;
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 20, PageDown: at + 20, Home: 0, End: last };
      if (event.key in moves) this.moveTo(Math.min(Math.max(moves[event.key], 0), last));
      else if (event.key === "+" || event.key === "=") this.zoom(0.5);
      else if (event.key === "-") this.zoom(2);
      else if (event.key === "Escape" || event.key === "0") this.whole();
      else return;
      event.preventDefault();
    }

    moveTo(index) {
      this.plot.setCursor({ left: this.plot.valToPos(this.plot.data[0][index], "x"), top: 0 });
    }

    // By `factor` around the cursor, in the scale's own terms: a logarithmic one zooms in powers.
    zoom(factor) {
      const isLog = this.chart.x.log;
      const [there, back] = isLog ? [Math.log, Math.exp] : [(value) => value, (value) => value];
      const points = this.plot.data[0];
      const [min, max] = [there(this.plot.scales.x.min), there(this.plot.scales.x.max)];
      const at = this.plot.cursor.idx;
      const centre = at === null || at === undefined ? (min + max) / 2 : there(points[at]);
      const half = ((max - min) / 2) * factor;
      const from = Math.max(points[0], back(centre - half));
      const to = Math.min(points[points.length - 1], back(centre + half));
      if (to <= from) return;
      this.plot.setScale("x", { min: from, max: to });
      // The cursor stays on its point, not on its pixel.
      if (at !== null && at !== undefined) queueMicrotask(() => this.moveTo(at));
    }

    fit() {
      const width = this.place.clientWidth;
      if (width > 0 && width !== this.plot.width) this.draw();
    }
  }

  const SVG = "http://www.w3.org/2000/svg";

  // A piece of the line, in its colour and dashes.
  const swatch = (series) => {
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", "0 0 34 10");
    picture.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "line");
    const placed = { x1: 0, y1: 5, x2: 34, y2: 5, "stroke-dasharray": (series.is_dotted ? DOTS : dashOf(series)).join(" "), class: `ink-${series.ink % DASHES.length}` };
    Object.entries(placed).forEach(([name, value]) => line.setAttribute(name, value));
    picture.append(line);
    return picture;
  };

  // ---- The page ----

  const drawn = charts.map((chart) => new Chart(chart));
  const redraw = () => drawn.forEach((chart) => chart.draw());
  const observer = new ResizeObserver(() => drawn.forEach((chart) => chart.fit()));
  drawn.forEach((chart) => observer.observe(chart.place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Paper is white whatever the screen is.
  addEventListener("beforeprint", () => {
    root.dataset.scheme = "light";
    redraw();
  });
  addEventListener("afterprint", () => {
    delete root.dataset.scheme;
    redraw();
  });
  root.dataset.charts = String(drawn.length);
})();
