#include "page.hpp"

#include "assets.hpp"
#include "markup.hpp"
#include "persistentkv/core/error.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <iterator>
#include <set>
#include <utility>

namespace pkv::report {

namespace {

/// "16", or "8, 4" where rows differ; empty where none has it.
std::string values_of(const ResultsFile& file, const char* member) {
  std::string text;
  std::set<std::string> seen;
  for (const nlohmann::json& row : file.json["rows"]) {
    if (!row.contains(member) || !row[member].is_primitive()) continue;
    const std::string value = row[member].is_string() ? row[member].get<std::string>() : row[member].dump();
    if (seen.insert(value).second) text += (text.empty() ? "" : ", ") + value;
  }
  return text;
}

std::string text_or(const nlohmann::json& object, const char* member, const std::string& otherwise) {
  if (!object.contains(member) || object[member].is_null() || !object[member].is_primitive()) return otherwise;
  return object[member].is_string() ? object[member].get<std::string>() : object[member].dump();
}

/// What was measured, on what, when and how: what a number means nothing without.
std::string facts(const ResultsFile& file) {
  const nlohmann::json& machine = file.json["machine"];
  std::string html = "<dl>\n";
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped(value));
  };
  add("command", "pkv " + file.command());
  if (machine.contains("gpu") && machine["gpu"].is_object())
    add("GPU", fmt::format("{}, {} SMs, driver for CUDA {}", machine["gpu"]["name"].get<std::string>(),
                           text_or(machine["gpu"], "num_sms", "?"), text_or(machine["gpu"], "cuda_driver", "?")));
  add("CPU",
      fmt::format("{} ({}), {} threads, {}", machine["cpu"].get<std::string>(), text_or(machine, "cpu_model", "?"),
                  text_or(machine, "cpu_threads", "?"), text_or(machine, "simd", "?")));
  add("system", text_or(machine, "system", ""));
  add("built with", text_or(machine, "compiler", "") + "; " + text_or(machine, "cuda_build", "no CUDA"));
  add("version, commit", machine["version"].get<std::string>() + ", " + machine["commit"].get<std::string>());
  add("date", machine["date"]);
  if (!values_of(file, "head_dim").empty() && !values_of(file, "num_q_heads").empty())
    add("shape", fmt::format("{} query heads, {} KV heads, head_dim {}, pages of {} tokens, {}",
                             values_of(file, "num_q_heads"), values_of(file, "num_kv_heads"),
                             values_of(file, "head_dim"), values_of(file, "page_size"), values_of(file, "dtype")));
  add("backend", text_or(file.json, "backend", ""));
  add("caches", text_or(file.json, "cache_state", ""));
  add("clock", text_or(file.json, "clock", ""));
  add("MLP", text_or(file.json, "mlp", ""));
  add("prompts", text_or(file.json, "prefill", ""));
  add("sampling", text_or(file.json, "sampling", ""));
  add("method", text_or(file.json, "method", ""));
  const std::string rounds = values_of(file, "rounds");
  if (!rounds.empty())
    add("method", fmt::format("medians of {} rounds, {} threads", rounds, values_of(file, "threads")));
  return html + "</dl>\n";
}

std::string section(const ResultsFile& file) {
  constexpr std::pair<const char*, std::string (*)(const ResultsFile&)> kSections[] = {
      {"replay", replay_section},       {"serving", serving_section}, {"timeline", timeline_section},
      {"reproduce", reproduce_section}, {"regret", regret_section},   {"calibrate", calibrate_section}};
  for (const auto& [command, of_command] : kSections)
    if (file.command() == command) return of_command(file);
  return file.json["rows"][0].contains("decode_gbps") ? cpu_bench_section(file) : cuda_bench_section(file);
}

/// The modules of Vega refer to one another by require(), which page.js answers.
std::string scripts() {
  std::string html =
      fmt::format("<!--\n{}-->\n<script>const vegaModules = {{}};</script>\n", page_asset("vega-licence.txt"));
  for (const Asset& module : vega_modules()) {
    const std::string_view name = module.name.substr(0, module.name.find('.'));
    html += fmt::format("<script>vegaModules[\"{}\"] = function (exports, module, require) {{ {}\n}};</script>\n", name,
                        module.text);
  }
  return html + fmt::format("<script>\n{}</script>\n", page_asset("page.js"));
}

}  // namespace

std::string results_page(const std::vector<ResultsFile>& files) {
  if (vega_modules().empty())
    throw Unsupported("this build has no Vega to draw plots with: install libjs-vega, and build again");
  std::string body;
  std::string contents;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string name = escaped(files[i].name());
    body += fmt::format("<section id=\"file{}\">\n<h2>{}</h2>\n{}{}</section>\n", i, name, facts(files[i]),
                        section(files[i]));
    contents += fmt::format("<li><a href=\"#file{}\">{}</a></li>\n", i, name);
  }
  if (files.size() > 1) body = "<nav aria-label=\"Results files\"><ul>\n" + contents + "</ul></nav>\n" + body;
  std::string page;
  // Nothing may be loaded, and no text be evaluated as code, whatever the results files hold.
  fmt::format_to(
      std::back_inserter(page),
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; img-src data:\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>PersistentKV results</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n"
      "<h1>PersistentKV results</h1>\n"
      "<noscript><p>Plots need JavaScript; the tables have every number.</p></noscript>\n{}</main>\n{}"
      "</body>\n</html>\n",
      page_asset("page.css"), body, scripts());
  return page;
}

}  // namespace pkv::report
