#pragma once

// Text files built into the program for the page: style, script, specifications of plots, and Vega.

#include <span>
#include <string_view>

namespace pkv::report {

struct Asset {
  std::string_view name;  ///< "page.css"
  std::string_view text;
};

/// Those of page/web. Throws std::out_of_range for a name that is not there.
[[nodiscard]] std::string_view page_asset(std::string_view name);

/// The modules of Vega, each a UMD file; empty in a build that found none.
[[nodiscard]] std::span<const Asset> vega_modules() noexcept;

}  // namespace pkv::report
