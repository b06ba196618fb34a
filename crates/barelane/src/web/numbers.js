// Numbers as people read them, and where an axis has its ticks: what the scripts of Barelane's pages share. It comes before them, in
// the same element.
"use strict";
const numbers = (() => {
  const UNITS = ["ns", "µs", "ms", "s"];

  const digits = (value, count) => Number(value.toPrecision(count)).toLocaleString("en", { maximumFractionDigits: 9 }).replaceAll(",", "\u202f");

  const latency = (ns, count) => {
    let unit = 0;
    while (Math.abs(ns) >= 999.95 && unit < 3) {
      ns /= 1000;
      unit += 1;
    }
    return `${digits(ns, count)} ${UNITS[unit]}`;
  };

  const percent = (share, count) => `${digits(share * 100, count)} %`;

  // What stands at a power of ten of 1/(1 - p): 1000 is p99.9.
  const percentile = (rarity) => {
    if (rarity <= 1) return "min";
    const nines = Math.max(0, Math.round(Math.log10(rarity)) - 2);
    return `p${(100 - 100 / rarity).toFixed(nines)}`;
  };

  // ---- Ticks ----

  const STEPS = [1, 2, 5];

  // 1, 2, 5 of every power of ten; fewer where the scale spans many of them, equal steps where it spans less than one.
  const ticks = (isLog, min, max, most) => {
    if (!isLog || max / min < 4) {
      const rough = (max - min) / most;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = power * (STEPS.find((step) => step * power >= rough) ?? 10);
      const first = Math.ceil(min / step - 1e-9);
      const count = Math.floor(max / step + 1e-9) - first + 1;
      return Array.from({ length: Math.max(count, 0) }, (_, index) => (first + index) * step);
    }
    const [low, high] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
    const every = Math.max(1, Math.ceil((high - low) / most));
    const marks = (high - low) * 3 <= most * 1.5 ? STEPS : [1];
    const found = [];
    for (let power = low; power <= high; power += 1) {
      if (power % every === 0) marks.forEach((mark) => found.push(mark * 10 ** power));
    }
    return found.filter((tick) => tick >= min * 0.999 && tick <= max * 1.001);
  };

  const percentileTicks = (max, most) => {
    const powers = Math.ceil(Math.log10(max)) + 1;
    const every = Math.max(1, Math.ceil(powers / most));
    const found = every === 1 && powers < most ? [1, 2] : [1];
    for (let power = 1; 10 ** power <= max * 1.001; power += every) found.push(10 ** power);
    return found;
  };

  return { digits, latency, percent, percentile, percentileTicks, ticks };
})();
