#include "persistentkv/batching/decode_ledger.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv {

void DecodeLedger::admit(std::int32_t slot, std::int64_t request_id, std::int64_t prompt_tokens,
                         std::int64_t decode_tokens) {
  const auto index = static_cast<std::size_t>(slot);
  if (index >= accounts_.size()) accounts_.resize(index + 1);
  Account& account = accounts_[index];
  if (account.open) {
    complain(fmt::format("request {} was admitted to slot {}, which request {} still holds", request_id, slot,
                         account.request_id));
  }
  account = {request_id, prompt_tokens, decode_tokens, 0, true};
}

void DecodeLedger::decode(std::int32_t slot, std::int64_t attended_tokens) {
  ++decoded_tokens_;
  Account* account = open_account(slot, "decoded");
  if (account == nullptr) return;
  const std::int64_t due = account->prompt_tokens + account->decoded_tokens;
  if (attended_tokens != due) {
    complain(fmt::format("request {} attended {} tokens at its step {}, must be {}", account->request_id,
                         attended_tokens, account->decoded_tokens, due));
  }
  ++account->decoded_tokens;
}

void DecodeLedger::finish(std::int32_t slot) {
  Account* account = open_account(slot, "finished");
  if (account == nullptr) return;
  if (account->decoded_tokens != account->decode_tokens) {
    complain(fmt::format("request {} finished after {} tokens, must be {}", account->request_id,
                         account->decoded_tokens, account->decode_tokens));
  }
  finished_tokens_ += account->decode_tokens;
  account->open = false;
}

void DecodeLedger::check() const {
  if (!first_complaint_.empty()) throw InvalidArgument("tokens are not conserved: " + first_complaint_);
  std::int64_t due = finished_tokens_;
  for (const Account& account : accounts_) due += account.open ? account.decoded_tokens : 0;
  if (due != decoded_tokens_)
    throw InvalidArgument(fmt::format("tokens are not conserved: decoded {}, must be {}", decoded_tokens_, due));
}

DecodeLedger::Account* DecodeLedger::open_account(std::int32_t slot, const char* what) {
  const auto index = static_cast<std::size_t>(slot);
  if (index < accounts_.size() && accounts_[index].open) return &accounts_[index];
  complain(fmt::format("slot {} {} with no request in it", slot, what));
  return nullptr;
}

void DecodeLedger::complain(std::string text) {
  if (first_complaint_.empty()) first_complaint_ = std::move(text);
}

}  // namespace pkv
