#pragma once

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pkv::testing {

/// Requests from memory, counting how many were pulled.
class VectorSource : public RequestSource {
 public:
  explicit VectorSource(std::vector<Request> requests, ArrivalUnit unit = ArrivalUnit::kSteps)
      : requests_(std::move(requests)), unit_(unit) {}

  [[nodiscard]] bool next(Request& request) override {
    if (pulled_ == requests_.size()) return false;
    request = requests_[pulled_++];
    return true;
  }
  [[nodiscard]] ArrivalUnit arrival_unit() const noexcept override { return unit_; }
  [[nodiscard]] std::string name() const override { return "vector"; }
  [[nodiscard]] std::int64_t skipped_rows() const noexcept override { return 0; }
  [[nodiscard]] std::int64_t pulled() const noexcept { return static_cast<std::int64_t>(pulled_); }

 private:
  std::vector<Request> requests_;
  ArrivalUnit unit_;
  std::size_t pulled_ = 0;
};

}  // namespace pkv::testing
