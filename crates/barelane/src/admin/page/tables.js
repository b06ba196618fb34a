// Tables whose figures change while rows and cells stay: who has scrolled, selected or is listening is not disturbed. All text goes in
// through textContent, so that nothing from a server is ever read as markup.
const tables = (() => {
  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  const made = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  };

  // A column: what stands at its head, its class, what of a row stands in it, and what is said of it below the table. The first column names the row.
  class Table {
    constructor(place, name, nothing) {
      this.place = document.getElementById(place);
      this.name = name;
      this.nothing = nothing;
      this.heads = null;
      this.rows = new Map();
    }

    // Rows are told apart by `key`, so that each keeps its place in the document.
    show(columns, rows, key) {
      const heads = JSON.stringify(columns.map((column) => column.head));
      if (rows.length === 0) {
        if (this.heads !== "") this.place.replaceChildren(made("p", "nothing", this.nothing));
        this.heads = "";
        return;
      }
      if (this.heads !== heads) this.build(columns);
      this.heads = heads;
      const wanted = rows.map((row, index) => [String(key(row, index)), row]);
      this.forget(new Set(wanted.map(([name]) => name)));
      wanted.forEach(([name, row], index) => {
        const line = this.rows.get(name) ?? this.add(name, columns);
        columns.forEach((column, at) => put(line.cells[at], column.of(row)));
        if (this.body.children[index] !== line) this.body.insertBefore(line, this.body.children[index] ?? null);
      });
    }

    build(columns) {
      const scroll = made("div", "scroll");
      scroll.tabIndex = 0;
      scroll.setAttribute("role", "group");
      scroll.setAttribute("aria-label", this.name);
      const table = made("table");
      table.append(made("caption", "hidden", this.name));
      const line = table.createTHead().insertRow();
      columns.forEach((column) => {
        const head = made("th", column.class, column.head);
        head.scope = "col";
        line.append(head);
      });
      this.body = table.createTBody();
      this.rows.clear();
      scroll.append(table);
      this.place.replaceChildren(scroll, ...Table.told(columns));
    }

    // What columns mean, for whoever has a mouse and for whoever has none.
    static told(columns) {
      const words = columns.filter((column) => column.says).map((column) => `${column.head}: ${column.says}`);
      return words.length > 0 ? [made("p", "aside says", `${words.join("; ")}.`)] : [];
    }

    add(name, columns) {
      const line = this.body.insertRow();
      columns.forEach((column, at) => {
        const cell = made(at === 0 ? "th" : "td", column.class);
        if (at === 0) cell.scope = "row";
        line.append(cell);
      });
      this.rows.set(name, line);
      return line;
    }

    forget(names) {
      this.rows.forEach((line, name) => {
        if (names.has(name)) return;
        line.remove();
        this.rows.delete(name);
      });
    }
  }

  return { Table, made, put };
})();
