// Asks the server for its figures once a second and shows them, and says when it does not answer any more.
(() => {
  const { digits, latency } = numbers;
  const { Table, made, put } = tables;
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);

  const SCHEMA = "barelane-page-1";
  // Between an answer and the next question, and how long an answer may take; in ms.
  const INTERVAL = 1_000;
  const ANSWER_MAX = 3_000;
  // A server publishes ten times a second; what is older than this is old.
  const FRESH_MAX = 1_000;
  const HISTORY_SECONDS = 180;
  const TOKEN = "barelane-token";
  // A server tells the last 64 stalls of each lane, which on a busy core are those of a second: the page keeps those that it has seen.
  const STALLS_KEPT = 1_000;
  // Of which the table has the last ones and the longest, so many of each.
  const STALL_ROWS = 50;

  // What is known: the last answer, when it came by this browser's clock, rates of before, and since when nobody answers.
  let answer = null;
  let came = 0;
  let history = [];
  let stalls = [];
  let goneSince = null;
  let isHeld = false;
  let isUnderWay = false;
  let timer = 0;
  // Which of the server's cards is shown: one at a time.
  let card = 0;
  let names = [];

  // ---- Numbers ----

  const count = (value) => digits(value, 16);
  const rate = (value) => (answer.server.over_ns === 0 ? "–" : charts.rate(value));
  const time = (ns) => (ns === null || ns === undefined ? "–" : latency(ns, 3));
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const clock = (ns) => new Date(ns / 1e6).toISOString().slice(11, 23);

  const span = (s) => {
    const parts = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
    const at = Math.max(parts.findIndex(([size]) => s >= size), 0);
    const [[size, unit], next] = [parts[s < 1 ? 3 : at], parts[s < 1 ? 4 : at + 1]];
    const rest = next ? Math.floor((s % size) / next[0]) : 0;
    return `${Math.floor(s / size)} ${unit}${rest > 0 ? ` ${rest} ${next[1]}` : ""}`;
  };

  // ---- Tables ----

  const words = (head, of) => ({ head, of, class: "words" });
  const figure = (head, of, says) => ({ head, of, says });
  const spread = (of) => [
    figure("p50", (row) => time(of(row).p50_ns), "what half of the answers between two looks did not exceed"),
    figure("p99", (row) => time(of(row).p99_ns), "what 99 of 100 did not"),
    figure("p99.9", (row) => time(of(row).p999_ns), "what 999 of 1000 did not"),
  ];

  const LANES = [
    figure("lane", (lane) => String(lane.index)),
    figure("core", (lane) => String(lane.core)),
    figure("queue", (lane) => String(lane.queue)),
    figure("received/s", (lane) => rate(lane.received_per_second)),
    figure("answered/s", (lane) => rate(lane.replied_per_second)),
    figure("passed/s", (lane) => rate(lane.passed_per_second)),
    figure("dropped/s", (lane) => rate(lane.dropped_per_second)),
    ...spread((lane) => lane.residence_recent),
    figure("max", (lane) => time(lane.residence.max_ns), "the longest since the start"),
    figure("turns/s", (lane) => rate(lane.turns_per_second + lane.turns_empty_per_second)),
    figure("received", (lane) => count(lane.received)),
    figure("answered", (lane) => count(lane.replied)),
    figure("stalls", (lane) => count(lane.stall_count)),
  ];

  const ANSWERS = [
    words("answer", (row) => row.name),
    figure("now/s", (row) => rate(row.per_second)),
    figure("by lanes", (row) => count(row.lane_count)),
    figure("in the driver", (row) => count(row.driver_count)),
    ...spread((row) => row.residence_recent),
    figure("max", (row) => time(row.residence.max_ns), "the longest since the start"),
  ];

  const STREAMS = [
    words("sender", (row) => row.source),
    words("to", (row) => row.destination),
    words("of", (row) => (row.ssid === 0 ? row.protocol : `${row.protocol} ${row.ssid}`)),
    figure("received", (row) => count(row.received)),
    figure("lost", (row) => count(row.lost)),
    figure("twice", (row) => count(row.duplicate)),
    figure("late", (row) => count(row.late), "behind one that was sent after it"),
    figure("too late", (row) => count(row.too_late), "too far behind to know whether it had come before"),
    figure("anew", (row) => count(row.restarts), "how often the sender has begun its sequence anew"),
    figure("jitter", (row) => time(row.jitter_ns)),
    figure("last (UTC)", (row) => clock(row.last_seen_unix_ns)),
  ];

  const streamRows = (lanes) => {
    const rows = lanes.flatMap((lane) => (lane.streams?.streams ?? []).map((row) => ({ ...row, lane: lane.index })));
    return rows.sort((a, b) => b.lost - a.lost);
  };

  const DROPS = [
    words("reason", (row) => row.reason),
    words("tier", (row) => row.tier),
    words("stage", (row) => row.stage),
    figure("now/s", (row) => rate(row.per_second)),
    figure("dropped", (row) => count(row.count)),
    { head: "what it means", of: (row) => row.sentence, class: "words sentence" },
  ];

  const CAUSES = {
    preempted: "something else had its core",
    major_fault: "waited for memory from a disk",
    off_core: "off its core: asleep, stopped, or moved",
    steal: "the hypervisor had its core",
    minor_fault: "waited for memory",
    on_core: "on its core: an interrupt, or its own work",
    not_asked: "the kernel told nothing",
  };

  const known = (value, unit, words) => (value === null || value === 0 ? [] : [`${unit === "ns" ? time(value) : count(value)} ${words}`]);

  const counted = (stall) => {
    const found = [
      ...known(stall.run_delay_ns, "ns", "waited for a core"),
      ...known(stall.voluntary_switches, "", "× left its core"),
      ...known(stall.involuntary_switches, "", "× taken off it"),
      ...known(stall.major_faults, "", "faults from a disk"),
      ...known(stall.minor_faults, "", "faults"),
      ...known(stall.steal_ns, "ns", "stolen"),
      ...known(stall.interrupts, "", "interrupts"),
    ];
    return `${found.length > 0 ? found.join(", ") : "nothing"}, in ${time(stall.counted_over_ns)}`;
  };

  const STALLS = [
    figure("began (UTC)", (stall) => clock(stall.began_unix_ns)),
    figure("lane", (stall) => String(stall.lane)),
    figure("length", (stall) => time(stall.length_ns)),
    words("cause", (stall) => stall.cause),
    { head: "what the kernel says of the lane", of: (stall) => `${CAUSES[stall.cause] ?? "no word for it here"}: ${counted(stall)}`, class: "words sentence" },
  ];

  const PLACES = [["rx", "received, waiting for the lane"], ["tx", "answers that the card has not taken yet"], ["fill", "buffers that wait for a packet"], ["completion", "sent, not taken back yet"], ["free", "in nobody’s hands"]];

  const RINGS = [
    figure("lane", (lane) => String(lane.index)),
    ...PLACES.flatMap(([place, says]) => [figure(place, (lane) => count(lane.depths[place]), says), figure(`${place}, most`, (lane) => count(lane.depths_max[place]))]),
  ];

  // Whatever fields an area has, in its order: what the segment gets stands here without a word more. Of a count its rate, too.
  const fieldsOf = (rows) => {
    const [first] = rows;
    if (first === undefined) return [];
    const found = (list, name) => list.find((field) => field.name === name);
    // A sentence that stands among others needs no full stop of its own.
    const said = (sentence) => sentence.replace(/\.$/, "");
    const texts = first.texts.map(({ name }) => ({ head: name, of: (row) => found(row.texts, name).value, class: `words ${name}` }));
    const numbers = first.numbers.flatMap(({ name, per_second, unit, sentence }) => {
      const value = (row) => (unit === "ns" ? time(found(row.numbers, name).value) : count(found(row.numbers, name).value));
      const told = figure(name, value, said(sentence));
      return per_second === null ? [told] : [figure(`${name}/s`, (row) => rate(found(row.numbers, name).per_second)), told];
    });
    return [...texts, ...numbers];
  };

  // The same with a row for each field and a column for each area: for many fields of few areas.
  const acrossOf = (kind, rows, isTold) => {
    const [first] = rows;
    // The area's own number is its head.
    const names = (first?.numbers ?? []).filter(({ name }) => name !== kind && isTold(name));
    const numberOf = (row, { name }) => row.numbers.find((number) => number.name === name);
    const areas = rows.flatMap((row) => {
      const head = rows.length > 1 || kind === "queue" ? `${kind} ${row.index}` : "all";
      return [figure(`${head}, now/s`, (field) => rate(numberOf(row, field).per_second ?? 0)), figure(head, (field) => count(numberOf(row, field).value))];
    });
    return [[words("count", ({ name }) => name), ...areas, { head: "what it means", of: ({ sentence }) => sentence, class: "words sentence" }], names, ({ name }) => name];
  };

  const shown = {
    lanes: new Table("lanes-table", "Lanes", "There is no lane."),
    answers: new Table("answers-table", "Answers by kind", "Nothing was answered yet."),
    streams: new Table("streams-table", "Streams", "No stream was heard, or none are told apart: serve --streams 1024."),
    stalls: new Table("stalls-table", "Stalls", "No lane has stalled since it had started."),
    routes: new Table("routes-table", "Routes", "There is no route: nothing but what addresses themselves need is answered."),
    drops: new Table("drops-table", "Drops by reason", "Nothing was dropped yet."),
    rings: new Table("rings-table", "Rings", "There is no lane."),
    queues: new Table("queues-table", "Queues", "There is no queue."),
    memif: new Table("memif-table", "Peers in shared memory", "No peer has come yet."),
  };

  const keyOf = (stall) => `${stall.lane} ${stall.began_unix_ns} ${stall.length_ns}`;

  const keepStalls = ({ server: { lanes } }) => {
    const known = new Set(stalls.map(keyOf));
    const told = lanes.flatMap((lane) => lane.stalls.map((stall) => ({ ...stall, lane: lane.index })));
    stalls.push(...told.filter((stall) => !known.has(keyOf(stall))));
    stalls.sort((a, b) => a.began_unix_ns - b.began_unix_ns);
    stalls = stalls.slice(-STALLS_KEPT);
  };

  const stallRows = () => {
    const longest = [...stalls].sort((a, b) => b.length_ns - a.length_ns).slice(0, STALL_ROWS);
    const rows = [...new Set([...stalls.slice(-STALL_ROWS), ...longest])];
    return rows.sort((a, b) => b.began_unix_ns - a.began_unix_ns);
  };

  const showTables = ({ server, tables: areas }) => {
    const index = (row) => row.index;
    shown.lanes.show(LANES, server.lanes, index);
    shown.answers.show(ANSWERS, server.answers.filter((row) => row.lane_count + row.driver_count > 0), (row) => row.name);
    shown.drops.show(DROPS, server.drops, (row) => `${row.tier} ${row.reason}`);
    shown.rings.show(RINGS, server.lanes, index);
    shown.streams.show(STREAMS, streamRows(server.lanes), (row) => `${row.lane} ${row.source} ${row.destination} ${row.protocol} ${row.ssid}`);
    const routes = areas.route.filter((row) => row.texts.some((text) => text.value !== ""));
    shown.routes.show([figure("order", (row) => String(row.index + 1), "the first that matches takes a packet"), ...fieldsOf(routes)], routes, index);
    shown.queues.show(...acrossOf("queue", areas.queue, () => true));
    // Reasons to be sent away are many, and of most nothing is ever heard.
    const hasBeen = (name) => areas.memif.some((row) => row.numbers.some((number) => number.name === name && number.value > 0));
    if (areas.memif.length > 0) shown.memif.show(...acrossOf("peers", areas.memif, hasBeen));
    shown.stalls.show(STALLS, stallRows(), keyOf);
  };

  // ---- What comes in, and what becomes of it: of both tiers, each frame once ----

  // What the driver tier hands to a lane has come in once, and its fate is what the lane makes of it.
  const flow = ({ server: { lanes, driver }, tables: { driver: areas } }) => {
    const handed = areas[0]?.numbers.find(({ name }) => name === "to_lane");
    const sum = (key) => lanes.reduce((sum, lane) => sum + lane[key], 0);
    const both = (key) => driver[key] + sum(key);
    const isFirst = areas.length > 0;
    return {
      received: [isFirst ? driver.received : sum("received"), isFirst ? driver.received_per_second : sum("received_per_second")],
      answered: [both("replied"), both("replied_per_second")],
      passed: [both("passed") - (handed?.value ?? 0), Math.max(0, both("passed_per_second") - (handed?.per_second ?? 0))],
      dropped: [both("dropped"), both("dropped_per_second")],
    };
  };

  const INKS = [["received", 0], ["answered", 2], ["passed", 4], ["dropped", 1]];
  const rates = new charts.Lines("rates-plot", "rates-key", charts.overTime);

  const showFlow = (figures) => {
    const now = flow(figures);
    Object.entries(now).forEach(([name, [all, each]]) => {
      put(by(`${name}-rate`), rate(each));
      put(by(`${name}-count`), `${count(all)} since the start`);
    });
    put(by("over"), figures.server.over_ns === 0 ? "" : `Each point is of ${seconds(figures.server.over_ns / 1e6)}.`);
    const at = figures.server.published_unix_ns / 1e9;
    if (figures.server.over_ns > 0) history.push([at, ...INKS.map(([name]) => now[name][1])]);
    history = history.filter(([when]) => when >= at - HISTORY_SECONDS - 5);
    const columns = [history.map(([when]) => when - at), ...INKS.map((_, index) => history.map((point) => point[index + 1]))];
    rates.show(INKS.map(([name, ink]) => ({ name: name === "passed" ? "passed on" : name, ink })), columns);
  };

  const residence = new charts.Lines("residence-plot", "residence-key", charts.overRarity);
  const inks = new Map();

  const showResidence = ({ curves }) => {
    const of = document.querySelector("input[name=residence]:checked").value;
    curves.forEach(({ name }) => inks.has(name) || inks.set(name, inks.size));
    const drawn = curves.filter((curve) => curve[of].length > 0);
    const data = drawn.map((curve) => [curve[of].map(([rarity]) => rarity), curve[of].map(([, ns]) => ns)]);
    residence.show(drawn.map(({ name }) => ({ name, ink: inks.get(name) })), data.length > 0 ? uPlot.join(data) : [[]]);
    const told = drawn.map((curve) => `${curve.name} up to ${time(curve[of].at(-1)[1])}`);
    by("residence-plot").setAttribute("aria-label", `Percentile curves of residence: ${told.join(", ") || "no answer in this time"}; the table “Answers by kind” has figures`);
    if (drawn.length === 0) by("residence-key").replaceChildren(made("li", "", of === "all" ? "No lane has answered yet." : "No lane has answered between the last two looks."));
  };

  const showStalls = ({ server }) => {
    const span = Number(document.querySelector("input[name=stalls]:checked").value) * 1e9;
    const to = server.published_unix_ns;
    const from = span === 0 ? server.began_unix_ns : to - span;
    put(by("stall-limit"), time(server.stall_limit_ns));
    const lanes = server.lanes.map(({ index }) => ({ index, stalls: stalls.filter((stall) => stall.lane === index) }));
    charts.timeline(by("stalls-line"), lanes, server.stall_limit_ns, Math.min(from, to - 1e9), to);
  };

  const showFacts = ({ server }) => {
    const up = (server.published_unix_ns - server.began_unix_ns) / 1e9;
    const card = [server.driver_name, server.mode, server.zero_copy === "yes" ? "zero-copy" : "copy"].filter((word) => word !== "").join(", ");
    put(by("nic"), server.nic);
    put(by("facts"), `${card} · tier ${server.tier} · kernel ${server.kernel_release} · process ${server.process} · version ${server.version} · up ${span(up)}`);
  };

  // A card for each to choose from, where there are several. They are made anew only where they are others.
  const showCards = ({ cards }) => {
    by("cards").hidden = cards.length < 2;
    if (cards.join() === names.join()) return;
    names = cards;
    by("cards").replaceChildren(made("legend", "", "Card"), ...cards.map((name, index) => {
      const choice = made("input");
      [choice.type, choice.name, choice.value, choice.checked] = ["radio", "card", String(index), index === card];
      const label = made("label");
      label.append(choice, made("span", "", name));
      return label;
    }));
  };

  const show = (figures) => {
    by("figures").hidden = false;
    showCards(figures);
    showFacts(figures);
    showFlow(figures);
    keepStalls(figures);
    showTables(figures);
    showResidence(figures);
    showStalls(figures);
    root.dataset.answers = String(Number(root.dataset.answers ?? 0) + 1);
  };

  // ---- How things stand ----

  const setTitle = () => {
    const name = answer ? `${answer.server.nic} · barelane serve` : "barelane serve";
    document.title = root.dataset.state === "gone" ? `does not answer: ${name}` : name;
  };

  const alarm = (kind, strong, words) => {
    const box = by("alarm");
    const said = strong === "" ? "" : `${strong} ${words}`;
    if (box.textContent === said) return;
    if (said === "") return box.replaceChildren();
    const notice = made("div", `notice ${kind}`);
    const line = made("p");
    line.append(made("strong", "", strong), ` ${words}`);
    notice.append(line);
    box.replaceChildren(notice);
  };

  // The age of what is shown: by the server's clock until it was answered, by this browser's since.
  const age = () => (answer.now_unix_ns - answer.server.published_unix_ns) / 1e6 + performance.now() - came;

  const state = () => {
    if (!answer) return;
    const old = `figures ${seconds(Math.max(age(), 0))} old`;
    const isOld = (answer.now_unix_ns - answer.server.published_unix_ns) / 1e6 > FRESH_MAX;
    root.dataset.state = goneSince !== null ? "gone" : isHeld ? "held" : isOld ? "old" : "live";
    const now = { gone: "no answer", held: "held", old: "stands still", live: "live" }[root.dataset.state];
    put(by("state-words"), `${now} · ${old}`);
    setTitle();
  };

  const gone = (words) => {
    if (goneSince === null) put(by("said"), "");
    goneSince ??= performance.now();
    root.dataset.state = "gone";
    alarm("stalled", "The server does not answer.", `${words} ${answer ? "What is shown is as it was then. " : ""}It is asked again every second.`);
    if (!answer) put(by("state-words"), "no answer");
    state();
    setTitle();
  };

  // What was seen of another server, or of another card.
  const forget = () => {
    [history, stalls] = [[], []];
    inks.clear();
  };

  const there = (figures) => {
    const isBack = goneSince !== null;
    const isOther = answer !== null && (answer.server.process !== figures.server.process || answer.server.began_unix_ns !== figures.server.began_unix_ns);
    if (isOther) forget();
    // A gap in time is a gap in the lines.
    else if (isBack && history.length > 0) history.push([history.at(-1)[0] + 0.001, null, null, null, null]);
    [answer, came, goneSince] = [figures, performance.now(), null];
    if (isBack) put(by("said"), isOther ? "The server answers again; it was started anew." : "The server answers again.");
    const late = (figures.now_unix_ns - figures.server.published_unix_ns) / 1e6;
    if (late > FRESH_MAX) alarm("warning", "The server answers, and publishes nothing new.", "Its housekeeping stands still; of its lanes that says nothing.");
    else alarm("", "", "");
    show(figures);
    state();
  };

  const askForToken = (wasShown) => {
    by("figures").hidden = true;
    by("token-form").hidden = false;
    clearTimeout(timer);
    answer = null;
    goneSince = null;
    root.dataset.state = "token";
    put(by("state-words"), "asks for its token");
    if (wasShown) alarm("warning", "This is not the server’s token.", "Show the one that is in its file.");
    else alarm("", "", "");
    by("token").focus();
  };

  // ---- Asking ----

  // What came of a question: a state of HTTP with what it carried, or nothing.
  const question = async (token) => {
    const path = card === 0 ? "/page.json" : `/page.json?card=${card}`;
    const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
    try {
      const response = await fetch(path, { headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(ANSWER_MAX) });
      return { status: response.status, told: response.ok ? await response.json() : await response.text() };
    } catch {
      return null;
    }
  };

  const take = (came, token) => {
    if (came === null) return gone("It was stopped, or the way to it is broken.");
    if (came.status === 401) {
      sessionStorage.removeItem(TOKEN);
      return askForToken(token !== null);
    }
    // It was started anew with fewer cards.
    if (came.status === 404 && card > 0) {
      [card, names] = [0, []];
      return undefined;
    }
    if (came.status !== 200) return gone(`It says: ${came.told.trim()}.`);
    if (came.told.schema !== SCHEMA) return gone(`It speaks ${came.told.schema}, and this page ${SCHEMA}: load the page anew.`);
    return there(came.told);
  };

  const isAsking = () => by("token-form").hidden && !isHeld && !document.hidden;

  const ask = async () => {
    clearTimeout(timer);
    if (isUnderWay) return;
    isUnderWay = true;
    const token = sessionStorage.getItem(TOKEN);
    const asked = card;
    const came = await question(token);
    isUnderWay = false;
    // Another card was chosen meanwhile.
    if (asked !== card) return ask();
    if (isAsking()) timer = setTimeout(ask, INTERVAL);
    return take(came, token);
  };

  by("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, by("token").value.trim());
    by("token").value = "";
    by("token-form").hidden = true;
    ask();
  });

  by("hold").addEventListener("click", () => {
    isHeld = !isHeld;
    by("hold").setAttribute("aria-pressed", String(isHeld));
    if (isHeld) clearTimeout(timer);
    else ask();
    state();
  });

  // Whom nobody sees costs the server nothing.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (isAsking()) ask();
  });

  // Of a card that is chosen at least one look is shown, held or not.
  by("cards").addEventListener("change", () => {
    card = Number(document.querySelector("input[name=card]:checked").value);
    answer = null;
    forget();
    ask();
  });

  by("residence-of").addEventListener("change", () => answer && showResidence(answer));
  by("stalls-of").addEventListener("change", () => answer && showStalls(answer));
  new ResizeObserver(() => answer && showStalls(answer)).observe(by("stalls-line"));

  // Once a second where the reader wants little to move.
  setInterval(state, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1_000 : 200);
  ask();
})();
