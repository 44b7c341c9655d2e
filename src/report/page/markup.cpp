#include "markup.hpp"

#include "assets.hpp"

#include <fmt/format.h>

#include <iterator>

namespace pkv::report {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string script_json(const nlohmann::json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', true)) {
    if (c == '<')
      out += "\\u003c";  // '<' stands only inside strings of JSON, where this means the same
    else
      out += c;
  }
  return out;
}

Cell::Cell(double value, int decimals)
    : shown(fmt::format("{:.{}f}", value, decimals)), sort_by(fmt::format("{}", value)) {}

std::string html_table(std::string_view caption, const std::vector<std::string>& header,
                       const std::vector<std::vector<Cell>>& rows) {
  std::string html;
  const auto out = std::back_inserter(html);
  const auto style = [&](std::size_t c) { return rows.front()[c].sort_by.empty() ? "" : " class=\"number\""; };
  fmt::format_to(out,
                 "<div class=\"wide\" tabindex=\"0\" role=\"region\" "
                 "aria-label=\"{0}\">\n<table>\n<caption>{0}</caption>\n<thead><tr>",
                 escaped(caption));
  for (std::size_t c = 0; c < header.size(); ++c)
    fmt::format_to(out, "<th scope=\"col\"{}><button type=\"button\">{}</button></th>", style(c), escaped(header[c]));
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      const Cell& cell = row[c];
      const std::string value = cell.sort_by.empty() ? "" : fmt::format(" data-value=\"{}\"", cell.sort_by);
      const char* const tag = c == 0 ? "th" : "td";
      fmt::format_to(out, "<{0}{1}{2}{3}>{4}</{0}>", tag, c == 0 ? " scope=\"row\"" : "", style(c), value,
                     escaped(cell.shown));
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n</div>\n";
}

std::string html_plot(const Plot& plot) {
  nlohmann::json spec = nlohmann::json::parse(page_asset(plot.spec + ".json"));
  spec["description"] = plot.title + ". " + plot.text;
  spec["data"][0]["values"] = plot.rows;
  for (const auto& [name, value] : plot.signals.items())
    for (nlohmann::json& signal : spec.at("signals"))
      if (signal["name"] == name) signal["value"] = value;
  return fmt::format(
      "<figure>\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n<div class=\"plot\"></div>\n"
      "<script type=\"application/json\" class=\"spec\">{}</script>\n</figure>\n",
      escaped(plot.title), escaped(plot.text), script_json(spec));
}

}  // namespace pkv::report
