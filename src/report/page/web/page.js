"use strict";
(() => {
  // Debian packs Vega as its modules, without the file that joins them; one asks for another by a name it has not.
  const otherNames = {"vega-selections": "vega-selection"};
  const loaded = {};
  const need = (asked) => {
    const name = otherNames[asked] || asked;
    if (!(name in loaded)) {
      if (!(name in vegaModules)) throw new Error("this page has no " + name);
      loaded[name] = {};
      vegaModules[name](loaded[name], {}, need);
    }
    return loaded[name];
  };

  const config = {
    font: "system-ui, sans-serif",
    axis: {labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal", titlePadding: 8},
    legend: {labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", symbolStrokeWidth: 1.5},
  };

  const draw = () => {
    Object.assign(need("vega-dataflow").transforms, need("vega-transforms"), need("vega-view-transforms"),
                  need("vega-encode"));
    for (const script of document.querySelectorAll("script.spec")) {
      const container = script.parentElement.querySelector(".plot");
      try {
        const runtime = need("vega-parser").parse(JSON.parse(script.textContent), config, {ast: true});
        // Expressions are interpreted, since the page forbids itself to evaluate text as code.
        new (need("vega-view").View)(runtime, {
          expr: need("vega-interpreter").expressionInterpreter, renderer: "svg", container, hover: true,
        }).runAsync().catch((error) => fail(container, error));
      } catch (error) {
        fail(container, error);
      }
    }
  };

  const fail = (container, error) => {
    container.classList.add("failed");
    container.textContent = "This plot could not be drawn: " + error.message;
  };

  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  };
  // Text and numbers may stand in one column, as "-" beside percentages; text comes first.
  const compare = (a, b) => typeof a !== typeof b ? (typeof a === "string" ? -1 : 1)
    : typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});
  const sort = (header) => {
    const table = header.closest("table");
    const column = header.cellIndex;
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  };
  for (const button of document.querySelectorAll("thead th button"))
    button.addEventListener("click", () => sort(button.parentElement));

  try {
    draw();
  } catch (error) {
    for (const container of document.querySelectorAll(".plot")) fail(container, error);
  }
})();
