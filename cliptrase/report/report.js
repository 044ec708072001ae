"use strict";
/* Tables as CSV and LaTeX, columns to sort by, methods to choose. The page fetches nothing and says all without it. */
(() => {
  const make = (tag, properties, ...inside) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...inside);
    return node;
  };
  const clean = text => text.replace(/\s+/g, " ").trim();
  const interval = /^([-+]?[\d.]+) to ([-+]?[\d.]+)(.*)$/;

  /* A cell: its text, whether it is the best, and the smaller lines below with what each is. */
  const cellOf = node => {
    const whole = node.cloneNode(true);
    const parts = [...whole.querySelectorAll("small")].map(small => {
      small.remove();
      return { name: small.dataset.part || "", text: clean(small.textContent) };
    });
    const text = clean(whole.textContent);
    return { text, parts, best: Boolean(node.querySelector("strong")), words: node.tagName === "TH" || node.classList.contains("words") };
  };

  /* Heads (those of several rows joined), and rows with the title of their group. */
  const read = table => {
    const heads = [];
    for (const line of table.tHead.rows) {
      let place = 0;
      for (const cell of line.cells) {
        for (let number = 0; number < cell.colSpan; number += 1, place += 1) {
          heads[place] = clean(`${heads[place] || ""} ${cell.textContent}`);
        }
      }
    }
    const rows = [];
    let group = "";
    for (const body of table.tBodies) {
      for (const line of body.rows) {
        if (line.classList.contains("setting")) group = clean(line.cells[0].textContent);
        else rows.push({ group, cells: [...line.cells].map(cellOf) });
      }
    }
    return { heads, rows, grouped: group !== "" };
  };

  const csvCell = text => {
    const safe = /^[-+]?[\d.]+$/.test(text) ? text : text.replace(/^([=+@-])/, "'$1");
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };

  const csv = table => {
    const { heads, rows, grouped } = read(table);
    const columns = heads.map((head, place) => {
      const names = [...new Set(rows.flatMap(row => (row.cells[place]?.parts || []).map(part => part.name)))];
      return { head, names };
    });
    const line = cells => cells.map(csvCell).join(",");
    const wide = name => name.includes("interval");
    const titles = columns.flatMap(({ head, names }) => [
      head, ...names.flatMap(name => (wide(name) ? [`${head} low`, `${head} high`] : [`${head} ${name}`])),
    ]);
    const lines = rows.map(row => [
      ...(grouped ? [row.group] : []),
      ...columns.flatMap(({ names }, place) => {
        const cell = row.cells[place] || { text: "", parts: [] };
        return [cell.text, ...names.flatMap(name => {
          const texts = cell.parts.filter(part => part.name === name).map(part => part.text);
          if (!wide(name)) return [texts.join("; ")];
          const bounds = texts.map(text => text.match(interval) || ["", text, ""]);
          return [bounds.map(found => found[1]).join("; "), bounds.map(found => found[2]).join("; ")];
        })];
      }),
    ]);
    return [...(grouped ? [["data", ...titles]] : [titles]), ...lines].map(line).join("\n") + "\n";
  };

  const signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "≈": "$\\approx$", "●": "" };
  const tex = text => text.replace(/[\\{}$&#%_~^≈●]/g, sign => signs[sign] ?? `\\${sign}`);

  const latex = table => {
    const { heads, rows, grouped } = read(table);
    const kinds = heads.map((_, place) => (rows.some(row => row.cells[place]?.words) ? "l" : "r")).join("");
    const lines = [`% needs \\usepackage{booktabs}`, `\\begin{tabular}{${kinds}}`, "\\toprule", `${heads.map(tex).join(" & ")} \\\\`];
    let group = null;
    for (const row of rows) {
      if (grouped && row.group !== group) lines.push("\\midrule", `\\multicolumn{${heads.length}}{l}{\\emph{${tex(row.group)}}} \\\\`);
      else if (group === null) lines.push("\\midrule");
      group = row.group;
      const cells = row.cells.map(cell => {
        const shown = cell.best ? `\\textbf{${tex(cell.text)}}` : tex(cell.text);
        return [shown, ...cell.parts.map(part => `{\\scriptsize (${tex(part.text)})}`)].filter(Boolean).join(" ");
      });
      lines.push(`${cells.join(" & ")} \\\\`);
    }
    return [...lines, "\\bottomrule", "\\end{tabular}"].join("\n") + "\n";
  };

  const offer = block => {
    const table = block.querySelector("table");
    if (!table || !table.tHead) return;
    const shown = make("textarea", { readOnly: true, rows: 6, hidden: true, ariaLabel: "the table as text" });
    const said = make("span", { className: "soft" });
    said.setAttribute("role", "status");
    const save = make("a", { hidden: true, textContent: "save as a file" });
    const button = (name, ending, write) => make("button", {
      type: "button",
      textContent: name,
      onclick: async () => {
        shown.value = write(table);
        shown.hidden = save.hidden = false;
        URL.revokeObjectURL(save.href);
        save.href = URL.createObjectURL(new Blob([shown.value], { type: "text/plain" }));
        save.download = `${block.dataset.name || "table"}.${ending}`.replace(/[^\w.+ -]+/g, "-");
        shown.focus();
        shown.select();
        let copied = false;
        try {
          await navigator.clipboard.writeText(shown.value);
          copied = true;
        } catch {
          copied = document.execCommand("copy");
        }
        said.textContent = copied ? `${name} is on the clipboard` : "press Ctrl+C to copy it";
      },
    });
    block.append(make("div", { className: "offer" }, button("CSV", "csv", csv), button("LaTeX", "tex", latex), said, save), shown);
  };

  const sortable = table => {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, place) => {
      const sort = () => {
        const down = head.ariaSort !== "descending";
        heads.forEach(other => { other.ariaSort = null; });
        head.ariaSort = down ? "descending" : "ascending";
        const key = row => { const text = clean(row.cells[place].textContent); return [parseFloat(text), text]; };
        for (const body of table.tBodies) {
          const rows = [...body.rows].sort((one, other) => {
            const [[a, s], [b, t]] = [key(one), key(other)];
            const order = Number.isNaN(a) || Number.isNaN(b) ? t.localeCompare(s) : b - a;
            return down ? order : -order;
          });
          body.append(...rows);
        }
      };
      head.tabIndex = 0;
      head.title = "sort by this column";
      head.onclick = sort;
      head.onkeydown = event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } };
    });
  };

  /* Two methods beside each other, each of its own choice; all are there without this. */
  const choose = box => {
    const shown = [...box.querySelectorAll("[data-method]")];
    const methods = [...new Set(shown.map(node => node.dataset.method))];
    if (methods.length < 3) return;
    const selects = ["left", "right"].map((name, number) => {
      const options = methods.map((method, place) => new Option(method, method, place === number, place === number));
      return make("select", { ariaLabel: `method on the ${name}` }, ...options);
    });
    const all = make("input", { type: "checkbox" });
    const update = () => {
      const [left, right] = selects.map(select => select.value);
      for (const node of shown) {
        const method = node.dataset.method;
        node.hidden = !all.checked && method !== left && method !== right;
        node.style.order = all.checked ? "" : method === left ? 1 : 2;
      }
      selects.forEach(select => { select.disabled = all.checked; });
    };
    for (const input of [...selects, all]) input.onchange = update;
    box.before(make("div", { className: "offer" }, "beside each other ", ...selects, make("label", {}, all, " all methods")));
    update();
  };

  document.querySelectorAll(".block").forEach(offer);
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".choose").forEach(choose);
})();
