"use strict";
// What the page does beside showing its charts, which stand in it: galleries, cells that can be
// clicked, tables that can be sorted, points on images, the map, and a list of chosen paths.
// Texts are put into the page as texts, never as markup.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const thumbnails = JSON.parse(document.getElementById("thumbnails").textContent);
  const place = new Map(data.rows.map((row, index) => [row, index]));
  const classes = data.targets[data.classes]; // what findings, mistakes and map are about, if anything
  const splitNames = ["train", "val", "test"];
  const MOST_TILES = 120;
  const chosen = new Set();

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(properties || {}))
      if (key in element) element[key] = value; else element.setAttribute(key, value);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  // As the programs print names (printable.h): what could turn the direction of reading or is no
  // character becomes a visible escape. \udcNN stands for the byte 0xNN.
  function shown(text) {
    let out = "";
    for (const character of text) {
      const code = character.codePointAt(0);
      if (code >= 0xdc80 && code <= 0xdcff) out += "\\x" + (code & 0xff).toString(16);
      else if (/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(character))
        out += "\\u" + code.toString(16).padStart(4, "0");
      else out += character;
    }
    return out;
  }

  function nameOf(row) {
    const index = place.get(row);
    return data.paths && index !== undefined ? shown(data.paths[index]) : "image " + row;
  }
  // Without the folder that all of them are in.
  const folder = data.paths && data.paths.length > 1 ? data.paths.reduce((common, path) => {
    while (common && !path.startsWith(common)) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
    return common;
  }, data.paths[0].slice(0, data.paths[0].lastIndexOf("/") + 1)) : "";
  function shortNameOf(row) {
    const index = place.get(row);
    return data.paths && index !== undefined ? shown(data.paths[index].slice(folder.length)) : "image " + row;
  }
  function className(index) { return index >= 0 ? shown(classes.names[index]) : "none"; }

  function picture(row, source) {
    const code = source || thumbnails[row];
    return code ? make("img", { src: "data:image/jpeg;base64," + code, alt: nameOf(row), loading: "lazy" })
                : make("span", { className: "none" }, "no picture");
  }

  // ---- chosen paths ----

  const bar = make("div", { className: "bar-below", hidden: true });
  const tally = make("span", { id: "tally" });

  function updateChosen() {
    bar.hidden = !chosen.size;
    tally.textContent = chosen.size + (chosen.size === 1 ? " image chosen" : " images chosen");
    for (const tile of document.querySelectorAll(".tile[data-row]")) {
      const is = chosen.has(Number(tile.dataset.row));
      tile.classList.toggle("chosen", is);
      const box = tile.querySelector("input");
      if (box) box.checked = is;
    }
  }

  // RFC 4180 in UTF-8, or in whatever bytes the names have. "./" before what a spreadsheet would
  // take for a formula: it is the same path.
  function csvBytes() {
    const bytes = [];
    const encoder = new TextEncoder();
    const put = (text) => {
      for (const character of text) {
        const code = character.codePointAt(0);
        if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code & 0xff);
        else bytes.push(...encoder.encode(character));
      }
    };
    put("path\n");
    for (const row of [...chosen].sort((a, b) => a - b)) {
      let path = data.paths ? data.paths[place.get(row)] : String(row);
      if (/^[=+\-@\t\r\n]/.test(path)) path = "./" + path;
      put((/[",\r\n]|^ | $/.test(path) ? '"' + path.replaceAll('"', '""') + '"' : path) + "\n");
    }
    return new Uint8Array(bytes);
  }

  function download() {
    const link = make("a", { download: "chosen.csv" });
    link.href = URL.createObjectURL(new Blob([csvBytes()], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  bar.append(tally, make("button", { id: "download", onclick: download }, "Download paths as CSV"),
    make("button", { onclick: () => { chosen.clear(); updateChosen(); } }, "Clear"));
  document.body.append(bar);

  // ---- tiles ----

  function tile(row, note, options) {
    const known = row >= 0;
    const frame = make("div", { className: "frame" }, picture(row, options && options.source));
    const label = make("label", {}, frame, note ? make("span", {}, note) : null,
      known ? make("span", { className: "path" }, shortNameOf(row)) : null);
    const element = make("div", { className: "tile", title: known ? nameOf(row) : "" }, label);
    if (known) {
      element.dataset.row = row;
      const box = make("input", { type: "checkbox", checked: chosen.has(row) });
      box.setAttribute("aria-label", "choose " + nameOf(row));
      box.onchange = () => { if (box.checked) chosen.add(row); else chosen.delete(row); updateChosen(); };
      frame.append(box);
    }
    const near = options && options.nearest && data.nearest && data.nearest[row];
    if (near) {
      const strip = make("div", { className: "near" });
      for (const other of near) {
        const image = thumbnails[other] ? picture(other) : make("span");
        image.title = nameOf(other) + (classes ? ": " + className(classes.labels[place.get(other)]) : "");
        strip.append(image);
      }
      element.append(strip);
    }
    return element;
  }

  // Tiles a hundred at a time: a button asks for more.
  function fill(parent, rows, notes, options) {
    let next = 0;
    const button = make("button");
    function more() {
      const end = Math.min(rows.length, next + MOST_TILES);
      for (; next < end; next++)
        parent.insertBefore(tile(rows[next], notes && notes[next], Object.assign({}, options,
          { source: options && options.pictures && options.pictures[next] })), button);
      button.hidden = next === rows.length;
      button.textContent = (rows.length - next) + " more";
    }
    button.onclick = more;
    parent.append(button);
    more();
  }

  function addGallery(gallery) {
    const section = make("section", { id: "gallery-" + gallery.id, className: "gallery" },
      make("h2", {}, gallery.title), make("p", { className: "note" }, gallery.note));
    const rows = gallery.groups.flatMap((group) => group.rows).filter((row) => row >= 0);
    const copies = gallery.groups.flatMap((group) => group.rows.slice(1));
    const choose = (list) => () => { list.forEach((row) => chosen.add(row)); updateChosen(); };
    if (rows.length)
      section.append(make("div", { className: "controls" },
        make("button", { className: "choose", onclick: choose(rows) }, "Choose all " + rows.length),
        gallery.id === "duplicates" ?
          make("button", { className: "choose-copies", onclick: choose(copies) }, "All but the first of each group") : null));
    for (const group of gallery.groups) {
      const tiles = make("div", { className: "tiles" });
      fill(tiles, group.rows, group.notes, { nearest: gallery.id === "mistakes", pictures: group.pictures });
      section.append(group.note ? make("div", { className: "group" }, make("p", { className: "note" }, group.note), tiles)
                                : tiles);
    }
    document.getElementById("galleries").append(section);
  }
  data.galleries.forEach(addGallery);

  // ---- cells of matrices ----

  function showCell(cell, number) {
    const target = data.targets[number];
    const row = Number(cell.dataset.row), column = Number(cell.dataset.column), rows = [], notes = [];
    for (let i = 0; i < data.rows.length; i++)
      if (target.judged && target.judged[i] && target.labels[i] === row && target.predicted[i] === column) rows.push(i);
    rows.sort((a, b) => target.p[b] - target.p[a]);
    for (const i of rows) notes.push((target.p[i] / 1000).toFixed(3));
    const parent = document.getElementById("cell-" + number);
    const tiles = make("div", { className: "tiles" });
    parent.replaceChildren(make("p", {}, shown(target.names[row]) + (row === column ? ", taken for it: " :
      ", taken for " + shown(target.names[column]) + ": ") + rows.length + " images"), tiles);
    fill(tiles, rows.map((i) => data.rows[i]), notes);
    for (const other of cell.parentNode.querySelectorAll(".chosen")) other.classList.remove("chosen");
    cell.classList.add("chosen");
  }
  for (const figure of document.querySelectorAll("figure[id^=confusion-]")) {
    const number = Number(figure.id.split("-")[1]);
    for (const cell of figure.querySelectorAll(".cell")) {
      cell.addEventListener("click", () => showCell(cell, number));
      cell.addEventListener("keydown", (event) => { if (event.key === "Enter") showCell(cell, number); });
    }
  }

  // ---- tables ----

  for (const heading of document.querySelectorAll(".sortable th")) {
    heading.tabIndex = 0;
    heading.onkeydown = (event) => { if (event.key === "Enter") heading.click(); };
    heading.onclick = () => {
      const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        return x !== "" && y !== "" && isFinite(x) && isFinite(y) ? x - y : x < y ? -1 : x > y ? 1 : 0;
      });
      body.append(...(descending ? rows.reverse() : rows));
    };
  }

  // ---- points on images ----

  function svg(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }
  data.targets.forEach((target, number) => {
    const figure = document.getElementById("points-" + number);
    if (!figure || !target.points) return;
    for (const item of target.points) {
      const overlay = svg("svg", { viewBox: `0 0 ${item.width} ${item.height}` });
      const radius = Math.max(item.width, item.height) / 110;
      [item.true, item.found].forEach((points, series) => {
        for (let p = 0; points && p + 1 < points.length; p += 2)
          if (points[p] !== null && points[p + 1] !== null)
            overlay.append(svg("circle", { cx: points[p], cy: points[p + 1], r: radius, class: "dot mark s" + series }));
      });
      const element = tile(item.row, "");
      element.querySelector(".frame").append(overlay);
      figure.querySelector(".tiles").append(element);
    }
  });

  // ---- the map ----

  function addMap(section) {
    const count = data.rows.length;
    const canvas = make("canvas", { tabIndex: 0 });
    const hover = make("div", { className: "hover", hidden: true });
    const legend = make("p", { className: "legend" });
    const found = make("div", { id: "lasso-rows", "aria-live": "polite" });
    const which = make("select", { id: "map-layout" }, ...data.maps.map((map, i) => make("option", { value: i }, map.name)));
    const ways = [];
    if (classes) ways.push(["class", (i) => classes.labels[i], classes.names]);
    if (classes && classes.predicted) ways.push(["predicted class", (i) => classes.predicted[i], classes.names]);
    if (classes && classes.predicted) ways.push(["error", (i) => classes.predicted[i] < 0 || classes.labels[i] < 0 ||
      classes.unknown.includes(classes.labels[i]) ? -1 :
      classes.predicted[i] === classes.labels[i] ? 0 : 1, ["right", "wrong"]]);
    if (data.splits) ways.push(["split", (i) => data.splits[i], splitNames]);
    for (const target of data.targets) {
      if (target.kind === "class" && target !== classes)
        ways.push([shown(target.name), (i) => target.labels[i], target.names]);
      if (target.values && target.values.some((value) => value !== null)) ways.push(byValue(target));
    }
    if (!ways.length) ways.push(["nothing", () => 0, ["image"]]);
    const colour = make("select", { id: "map-colour" }, ...ways.map((way, i) => make("option", { value: i }, way[0])));
    const lassoButton = make("button", { id: "lasso" }, "Lasso");
    const reset = make("button", {}, "Whole map");
    lassoButton.setAttribute("aria-pressed", "false");
    section.append(make("div", { className: "controls" }, make("label", {}, "Layout ", which), make("label", {}, "Colour ", colour),
      lassoButton, reset), make("div", { className: "board" }, canvas, hover), legend,
      make("p", { className: "note" }, "Wheel or pinch to zoom, drag to move; with the lasso, draw around points to list them."), found);

    const context = canvas.getContext("2d", { alpha: false });
    const values = new Int32Array(count);
    let view = { scale: 1, x: 0.5, y: 0.5 }, palette = [], lasso = null, waiting = false, lastDraw = 0;

    // Seven ranges with as many images in each.
    function byValue(target) {
      const sorted = target.values.filter((value) => value !== null).sort((a, b) => a - b);
      const bounds = [...new Set([0, 1, 2, 3, 4, 5, 6, 7].map((n) => sorted[Math.floor(n * (sorted.length - 1) / 7)]))];
      const ranges = Math.max(1, bounds.length - 1);
      const of = (value) => value === null || value === undefined ? -1 :
        Math.max(0, Math.min(ranges - 1, bounds.findLastIndex((bound) => value >= bound)));
      const text = (value) => String(Number(value.toPrecision(4)));
      return [shown(target.name), (i) => of(target.values[i]),
        [...Array(ranges).keys()].map((n) => text(bounds[n]) + " to " + text(bounds[Math.min(n + 1, bounds.length - 1)])), true];
    }
    function ramp(part) { // from blue over red to yellow, readable on light and on dark
      const stops = [[58, 76, 192], [150, 60, 160], [214, 72, 96], [232, 124, 52], [222, 176, 30]];
      const at = part * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
      return "#" + stops[low].map((a, c) => Math.round(a + (stops[low + 1][c] - a) * (at - low)).toString(16).padStart(2, "0")).join("");
    }
    function rgb(text) { // "#rrggbb" as the canvas has it in memory
      const n = parseInt(text.slice(1), 16);
      return 0xff000000 | (n & 255) << 16 | (n & 0xff00) | n >> 16;
    }
    function hue(i, light) { // for more groups than the style sheet has colours
      const h = i * 137.508 % 360, a = 0.55 * Math.min(light, 1 - light);
      const f = (n) => Math.round(255 * (light - a * Math.max(-1, Math.min((n + h / 30) % 12 - 3, 9 - (n + h / 30) % 12, 1))));
      return "#" + [f(0), f(8), f(4)].map((v) => v.toString(16).padStart(2, "0")).join("");
    }
    function recolour() {
      const style = getComputedStyle(document.documentElement);
      const way = ways[colour.value || 0];
      for (let i = 0; i < count; i++) values[i] = way[1](i);
      palette = way[2].map((_, i) => way[3] ? ramp(i / Math.max(1, way[2].length - 1)) : way[2].length <= 8 ? style.getPropertyValue("--s" + i).trim()
        : hue(i, matchMedia("(prefers-color-scheme: dark)").matches ? 0.65 : 0.45));
      legend.replaceChildren(...way[2].slice(0, 40).map((name, i) => {
        const key = make("span", { className: "key" }, shown(name));
        key.style.color = palette[i];
        return key;
      }));
      draw();
    }
    function toScreen(i, map, side) {
      if (map.x[i] < 0) return [-1e6, -1e6]; // it has no place
      return [canvas.width / 2 + (map.x[i] / 65535 - view.x) * view.scale * side,
        canvas.height / 2 + (map.y[i] / 65535 - view.y) * view.scale * side];
    }
    function sideOf() { return 0.94 * Math.min(canvas.width, canvas.height); }

    function paint() {
      waiting = false;
      const started = performance.now();
      const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
      const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
      if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
      const style = getComputedStyle(document.documentElement);
      const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
      const map = data.maps[which.value || 0], side = sideOf(), colours = palette.map(rgb);
      const grey = rgb(style.getPropertyValue("--rule").trim());
      const size = Math.max(2, Math.round((count > 20000 ? 1.6 : count > 2000 ? 3 : 5) * ratio * Math.min(3, Math.sqrt(view.scale))));
      pixels.fill(rgb(style.getPropertyValue("--ground").trim()));
      const zoomed = view.scale * side / 65535; // and from a position to a pixel's corner
      const left = width / 2 - view.x * view.scale * side - size / 2, top = height / 2 - view.y * view.scale * side - size / 2;
      let drawn = 0;
      for (let pass = 0; pass < 2; pass++) // what has no value lies below
        for (let i = 0; i < count; i++) {
          if ((values[i] < 0) !== (pass === 0)) continue;
          if (map.x[i] < 0) continue;
          const x0 = Math.round(map.x[i] * zoomed + left), y0 = Math.round(map.y[i] * zoomed + top);
          if (x0 < 0 || y0 < 0 || x0 + size > width || y0 + size > height) continue;
          const ink = values[i] < 0 ? grey : colours[values[i]];
          for (let y = y0 * width + x0, end = y + size * width; y < end; y += width)
            for (let x = y; x < y + size; x++) pixels[x] = ink;
          drawn++;
        }
      context.putImageData(image, 0, 0);
      if (lasso && lasso.length > 1) {
        context.strokeStyle = style.getPropertyValue("--ink").trim();
        context.lineWidth = 1.5 * ratio;
        context.beginPath();
        lasso.forEach(([x, y], i) => i ? context.lineTo(x, y) : context.moveTo(x, y));
        context.closePath();
        context.stroke();
      }
      canvas.dataset.drawn = drawn;
      lastDraw = performance.now() - started;
      canvas.dataset.milliseconds = lastDraw.toFixed(1);
    }
    function draw() { if (!waiting) { waiting = true; requestAnimationFrame(paint); } }

    function at(event) {
      const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
      return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    }
    function nearestTo([x, y]) {
      const map = data.maps[which.value || 0], side = sideOf(), ratio = window.devicePixelRatio || 1;
      let best = -1, least = (10 * ratio) ** 2;
      for (let i = 0; i < count; i++) {
        const [px, py] = toScreen(i, map, side), distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < least) { least = distance; best = i; }
      }
      return best;
    }
    function describe(i) {
      const words = [nameOf(data.rows[i])];
      if (classes) words.push("class " + className(classes.labels[i]));
      if (classes && classes.predicted && classes.predicted[i] >= 0)
        words.push("predicted " + className(classes.predicted[i]) + " (" + (classes.p[i] / 1000).toFixed(3) + ")");
      for (const target of data.targets)
        if (target.values && target.values[i] !== null) words.push(shown(target.name) + " " + target.values[i]);
        else if (target.kind === "class" && target !== classes && target.labels[i] >= 0)
          words.push(shown(target.name) + " " + shown(target.names[target.labels[i]]));
      if (data.splits) words.push(splitNames[data.splits[i]]);
      return words;
    }
    function showHover(event) {
      const i = nearestTo(at(event)), box = canvas.getBoundingClientRect();
      hover.hidden = i < 0;
      if (i < 0) return;
      hover.replaceChildren(thumbnails[data.rows[i]] ? picture(data.rows[i]) : "", ...describe(i).map((text) => make("div", {}, text)));
      const x = event.clientX - box.left, y = event.clientY - box.top;
      hover.style.left = Math.max(0, Math.min(x + 14, box.width - hover.offsetWidth)) + "px";
      hover.style.top = (y + 14 + hover.offsetHeight > box.height ? Math.max(0, y - hover.offsetHeight - 10) : y + 14) + "px";
    }
    function isInside(x, y, polygon) {
      let inside = false;
      for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
        const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
        if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
      }
      return inside;
    }
    function endLasso() {
      const map = data.maps[which.value || 0], side = sideOf(), rows = [];
      for (let i = 0; i < count; i++) if (isInside(...toScreen(i, map, side), lasso)) rows.push(data.rows[i]);
      const tiles = make("div", { className: "tiles" });
      const all = make("button", { onclick: () => { rows.forEach((row) => chosen.add(row)); updateChosen(); } }, "Choose all");
      found.replaceChildren(make("p", {}, rows.length + " images in the lasso ", all), tiles);
      found.dataset.rows = rows.length;
      fill(tiles, rows, rows.map((row) => classes ? className(classes.labels[place.get(row)]) : ""));
    }

    const pointers = new Map();
    let last = null, pinch = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
      last = at(event);
      pinch = 0;
      if (lassoButton.getAttribute("aria-pressed") === "true") lasso = [at(event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event);
      if (!pointers.has(event.pointerId)) { if (event.pointerType === "mouse") showHover(event); return; }
      pointers.set(event.pointerId, now);
      hover.hidden = true;
      if (lasso) {
        lasso.push(now);
      } else if (pointers.size === 2) {
        const [[ax, ay], [bx, by]] = [...pointers.values()], distance = Math.hypot(ax - bx, ay - by);
        if (pinch) zoom(distance / pinch, [(ax + bx) / 2, (ay + by) / 2]);
        pinch = distance;
      } else if (last) {
        view.x -= (now[0] - last[0]) / (view.scale * sideOf());
        view.y -= (now[1] - last[1]) / (view.scale * sideOf());
      }
      last = now;
      draw();
    });
    function release(event) {
      if (lasso && lasso.length > 2) endLasso();
      else if (event.pointerType !== "mouse" && !lasso) showHover(event);
      lasso = null;
      pointers.delete(event.pointerId);
      draw();
    }
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", (event) => { lasso = null; pointers.delete(event.pointerId); });
    canvas.addEventListener("pointerleave", () => { hover.hidden = true; });
    function zoom(factor, [x, y]) {
      const side = sideOf(), scale = Math.min(400, Math.max(0.5, view.scale * factor));
      view.x += (x - canvas.width / 2) / side * (1 / view.scale - 1 / scale);
      view.y += (y - canvas.height / 2) / side * (1 / view.scale - 1 / scale);
      view.scale = scale;
      draw();
    }
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), at(event)); },
      { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (moves) { view.x += moves[0] * 0.1 / view.scale; view.y += moves[1] * 0.1 / view.scale; }
      else if (event.key === "+" || event.key === "-")
        zoom(event.key === "+" ? 1.3 : 1 / 1.3, [canvas.width / 2, canvas.height / 2]);
      else return;
      event.preventDefault();
      draw();
    });
    lassoButton.onclick = () => lassoButton.setAttribute("aria-pressed", String(lassoButton.getAttribute("aria-pressed") !== "true"));
    reset.onclick = () => { view = { scale: 1, x: 0.5, y: 0.5 }; draw(); };
    which.onchange = draw;
    colour.onchange = recolour;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    new ResizeObserver(draw).observe(canvas);
    window.addEventListener("beforeprint", paint);
    recolour();
  }
  if (document.getElementById("map") && data.maps.length) addMap(document.getElementById("map"));

  // ---- contents ----

  const contents = document.getElementById("contents");
  document.querySelectorAll("section").forEach((section) => {
    const heading = section.querySelector("h2");
    if (heading && section.id) contents.append(make("a", { href: "#" + section.id }, heading.textContent));
  });
})();
