#include "conformance/resident.hpp"

#include <functional>
#include <stdexcept>

namespace pkv::conformance {

Mirror::Mirror(Memory& memory, const std::vector<Bytes*>& buffers) : memory_(memory), buffers_(buffers) {
  for (const Bytes* buffer : buffers_) copies_.push_back(memory_.allocate(buffer->size()));
  upload();
}

Mirror::~Mirror() {
  for (void* copy : copies_) memory_.release(copy);
}

void* Mirror::at(const void* host) const {
  if (host == nullptr) return nullptr;
  const auto* p = static_cast<const std::byte*>(host);
  const std::less<const std::byte*> before;
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const Bytes& buffer = *buffers_[i];
    if (!buffer.empty() && !before(p, buffer.data()) && before(p, buffer.data() + buffer.size()))
      return static_cast<std::byte*>(copies_[i]) + (p - buffer.data());
  }
  throw std::logic_error("a view points outside its problem's buffers");
}

IndexView Mirror::at(IndexView host) const {
  if (host) host = {at(host.data), host.size, host.type, memory_.space()};
  return host;
}

void Mirror::upload() {
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    memory_.upload(copies_[i], buffers_[i]->data(), buffers_[i]->size());
}

void Mirror::download() {
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    memory_.download(buffers_[i]->data(), copies_[i], buffers_[i]->size());
}

ResidentLayer::ResidentLayer(Memory& memory, LayerData& data) : mirror_(memory, data.buffers()), layer_(data.layer()) {
  layer_.kv.k.data = mirror_.at(layer_.kv.k.data);
  layer_.kv.v.data = mirror_.at(layer_.kv.v.data);
  layer_.q.data = mirror_.at(layer_.q.data);
  layer_.q.row_ids = mirror_.at(layer_.q.row_ids);
  layer_.out.data = mirror_.at(layer_.out.data);
  layer_.out.row_ids = mirror_.at(layer_.out.row_ids);
  if (layer_.lse) layer_.lse->data = static_cast<float*>(mirror_.at(layer_.lse->data));
}

ResidentStep::ResidentStep(Memory& memory, StepData& data) : mirror_(memory, data.buffers()), step_(data.step()) {
  step_.lengths.values = mirror_.at(step_.lengths.values);
  step_.table.entries = mirror_.at(step_.table.entries);
  step_.table.row_offsets = mirror_.at(step_.table.row_offsets);
  step_.table.row_ids = mirror_.at(step_.table.row_ids);
}

}  // namespace pkv::conformance
