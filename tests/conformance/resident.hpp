#pragma once

// A problem's tensors in a backend's memory.

#include "conformance/memory.hpp"
#include "conformance/problem.hpp"

#include <vector>

namespace pkv::conformance {

/// Copies of host buffers, and where a pointer into one of them leads to.
class Mirror {
 public:
  Mirror(Memory& memory, const std::vector<Bytes*>& buffers);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  /// The place that mirrors `host`, which must lie in one of the buffers, or be null.
  [[nodiscard]] void* at(const void* host) const;
  [[nodiscard]] IndexView at(IndexView host) const;
  void upload();
  void download();

 private:
  Memory& memory_;
  std::vector<Bytes*> buffers_;
  std::vector<void*> copies_;
};

/// A layer where the backend wants it.
class ResidentLayer {
 public:
  ResidentLayer(Memory& memory, LayerData& data);
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
  void upload() { mirror_.upload(); }
  void download() { mirror_.download(); }

 private:
  Mirror mirror_;
  Layer layer_;
};

/// A step whose lengths and table are where the backend wants its tensors.
class ResidentStep {
 public:
  ResidentStep(Memory& memory, StepData& data);
  [[nodiscard]] const Step& step() const noexcept { return step_; }

 private:
  Mirror mirror_;
  Step step_;
};

}  // namespace pkv::conformance
