"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const make = (name, text, parent) => {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  };

  // ---- curves ----

  const { runs, figures, names, charts } = data.curves;
  const COLOURS = ["#2f7fd0", "#d9622b", "#3a9d5d", "#a25bc0", "#c0932b", "#3aa3a8"];
  const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const format = (value) => (value == null ? "" : String(Number(value.toPrecision(4))));

  // What a figure is called beneath a title that says the rest.
  const short = (name, title) =>
    name.startsWith(`${title}/`) ? name.slice(title.length + 1) : name.endsWith(`/${title}`) ? name.slice(0, -title.length - 1) : name;

  // A finger drags as a mouse does; up and down it scrolls the page.
  const withTouch = (over) => {
    const send = (kind, target, event) => {
      const made = new MouseEvent(kind, { clientX: event.clientX, clientY: event.clientY, bubbles: true });
      Object.defineProperty(made, "movementX", { value: 1 }); // uPlot passes over a move that moves nothing
      target.dispatchEvent(made);
    };
    let drags = false;
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") return;
      drags = true;
      send("mousemove", over, event);
      send("mousedown", over, event);
    });
    over.addEventListener("pointermove", (event) => drags && send("mousemove", over, event));
    over.addEventListener("pointerup", (event) => {
      if (drags) send("mouseup", document, event);
      drags = false;
    });
    over.addEventListener("pointercancel", () => (drags = false));
  };

  const draw = (place, chart) => {
    const box = make("div", "", place);
    box.className = "chart";
    const top = make("div", "", box);
    top.className = "top";
    make("strong", chart.title, top);
    const log = make("button", "log", top);
    const whole = make("button", "whole", top);
    log.type = whole.type = "button";
    const series = [];
    const tables = [];
    chart.names.forEach((name, k) =>
      runs.forEach((run, r) => {
        const found = figures[r][name];
        if (!found) return;
        const pair = runs.length > 1;
        series.push({
          label: `${short(name, chart.title)}${pair ? ` ${"AB"[r]}` : ""}`,
          stroke: COLOURS[k % COLOURS.length],
          width: 1.5,
          dash: pair && r ? [6, 4] : undefined,
          spanGaps: true,
          points: { show: found[0].length < 60, size: 5 },
          value: (_, value) => format(value),
        });
        tables.push(found);
      }),
    );
    const joined = uPlot.join(tables);
    const positive = tables.every((table) => table[1].every((value) => value > 0));
    log.hidden = !positive;
    let isLog = positive && chart.log;
    let plot = null;
    const size = () => ({ width: Math.max(200, box.clientWidth - 18), height: 240 });
    const build = () => {
      if (plot) plot.destroy();
      const axis = { stroke: colourOf("--soft"), grid: { stroke: colourOf("--line"), width: 1 }, ticks: { stroke: colourOf("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
      plot = new uPlot(
        {
          ...size(),
          scales: { x: { time: false }, y: isLog ? { distr: 3 } : {} },
          axes: [axis, { ...axis, size: 64, values: (_, splits) => splits.map((value) => (value == null ? "" : format(value))) }],
          series: [{ label: "step" }, ...series],
          cursor: { drag: { x: true, y: false } },
        },
        joined,
        box,
      );
      withTouch(plot.over);
      log.setAttribute("aria-pressed", String(isLog));
    };
    log.addEventListener("click", () => {
      isLog = !isLog;
      build();
    });
    whole.addEventListener("click", () => plot.setData(joined));
    build();
    addEventListener("resize", () => plot.root.isConnected && plot.setSize(size()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.root.isConnected && build());
    box.zoomTo = (min, max) => plot.setScale("x", { min, max });
    box.range = () => [plot.scales.x.min, plot.scales.x.max];
  };

  const place = document.getElementById("charts");
  if (place) {
    charts.forEach((chart) => draw(place, chart));
    const select = document.getElementById("figure");
    names.forEach((name) => (make("option", name, select).value = name));
    const chosen = document.getElementById("chosen");
    const show = () => {
      chosen.replaceChildren();
      draw(chosen, { title: select.value, names: [select.value], log: false });
    };
    document.getElementById("any").hidden = false;
    const drawn = new Set(charts.flatMap((chart) => chart.names));
    const isCurve = (name) => figures.some((of) => of[name] && of[name][0].length > 1);
    select.value = names.find((name) => !drawn.has(name) && isCurve(name)) ?? names.find(isCurve) ?? names[0];
    select.addEventListener("change", show);
    show();
  }

  // ---- sliders ----

  document.querySelectorAll("[data-slider]").forEach((figure) => {
    const rows = data.sliders[figure.dataset.slider];
    const range = figure.querySelector("input");
    if (!range) return;
    const frames = [...figure.querySelectorAll(".frame")];
    const show = () =>
      frames.forEach((frame, r) => {
        const [label, picture] = rows[r][Math.min(Number(range.value), rows[r].length - 1)];
        frame.querySelector("img").src = picture;
        frame.querySelector("output").textContent = label;
      });
    range.addEventListener("input", show);
    const button = figure.querySelector("button");
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = "▶";
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (range.value === range.max) range.value = 0;
      show();
      button.textContent = "❚❚";
      timer = setInterval(() => {
        range.value = Number(range.value) + 1;
        show();
        if (range.value === range.max) stop();
      }, 300);
    });
  });

  // ---- tables ----

  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.number;
        const compare = (one, other) => {
          const [a, b] = [key(one), key(other)];
          if (a !== undefined && b !== undefined) return (down ? -1 : 1) * (a - b);
          if (a !== undefined || b !== undefined) return a === undefined ? 1 : -1; // what has no number comes last
          return (down ? -1 : 1) * one.cells[column].textContent.localeCompare(other.cells[column].textContent, undefined, { numeric: true });
        };
        body.append(...[...body.rows].sort(compare));
      });
    });
  });
})();
