#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace pkv::report::testing {

/// What a page's plots are drawn from.
inline std::vector<nlohmann::json> specs(const std::string& page) {
  const std::string open = "class=\"spec\">";
  std::vector<nlohmann::json> found;
  for (std::size_t at = page.find(open); at != std::string::npos; at = page.find(open, at + 1)) {
    const std::size_t begin = at + open.size();
    found.push_back(nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin)));
  }
  return found;
}

}  // namespace pkv::report::testing
