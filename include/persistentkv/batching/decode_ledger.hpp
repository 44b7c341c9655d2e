#pragma once

/// The books of a run: was every token of every request decoded, and once only?

#include <cstdint>
#include <string>
#include <vector>

namespace pkv {

/// Told what requests are due when they are admitted, and what each row attended when a step is over; takes no part in
/// deciding either, so that a scheduler that loses or repeats a token is found out. Not thread-safe.
class DecodeLedger {
 public:
  void admit(std::int32_t slot, std::int64_t request_id, std::int64_t prompt_tokens, std::int64_t decode_tokens);
  void decode(std::int32_t slot, std::int64_t attended_tokens);
  void finish(std::int32_t slot);

  /// Tokens decoded so far.
  [[nodiscard]] std::int64_t decoded_tokens() const noexcept { return decoded_tokens_; }

  /// Throws InvalidArgument with the first thing that went wrong: a step that attended other tokens than the prompt and
  /// all those decoded before it, a request that finished early or late, a slot with two requests or none, or books
  /// that do not balance.
  void check() const;

 private:
  struct Account {
    std::int64_t request_id = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t decode_tokens = 0;
    std::int64_t decoded_tokens = 0;
    bool open = false;
  };

  [[nodiscard]] Account* open_account(std::int32_t slot, const char* what);
  void complain(std::string text);

  std::vector<Account> accounts_;  // [slot]
  std::int64_t decoded_tokens_ = 0;
  std::int64_t finished_tokens_ = 0;  // due from the requests that finished
  std::string first_complaint_;
};

}  // namespace pkv
