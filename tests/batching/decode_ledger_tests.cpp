#include "persistentkv/batching/decode_ledger.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DecodeLedger, BalancesWhatWasDecodedOnce) {
  DecodeLedger ledger;
  ledger.admit(0, 10, 100, 2);
  ledger.admit(1, 11, 7, 3);
  ledger.decode(0, 100);
  ledger.decode(1, 7);
  ledger.decode(0, 101);
  ledger.finish(0);
  ledger.admit(0, 12, 5, 1);
  ledger.decode(0, 5);
  ledger.decode(1, 8);
  EXPECT_NO_THROW(ledger.check());
  EXPECT_EQ(ledger.decoded_tokens(), 5);
}

TEST(DecodeLedger, FindsEveryWayToLoseOrRepeatAToken) {
  const auto complaint = [](const std::function<void(DecodeLedger&)>& wrong) {
    return [wrong] {
      DecodeLedger ledger;
      ledger.admit(0, 10, 100, 3);
      ledger.decode(0, 100);
      wrong(ledger);
      ledger.check();
    };
  };
  EXPECT_THAT(complaint([](DecodeLedger& ledger) { ledger.decode(0, 100); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("request 10 attended 100 tokens at its step 1, must be 101")));
  EXPECT_THAT(complaint([](DecodeLedger& ledger) { ledger.decode(0, 102); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("attended 102 tokens")));
  EXPECT_THAT(complaint([](DecodeLedger& ledger) { ledger.finish(0); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("finished after 1 tokens, must be 3")));
  EXPECT_THAT(complaint([](DecodeLedger& ledger) {
                for (int k = 1; k <= 3; ++k) ledger.decode(0, 100 + k);
                ledger.finish(0);
              }),
              ThrowsMessage<InvalidArgument>(HasSubstr("finished after 4 tokens, must be 3")));
  EXPECT_THAT(complaint([](DecodeLedger& ledger) { ledger.decode(1, 100); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("slot 1 decoded with no request in it")));
  EXPECT_THAT(complaint([](DecodeLedger& ledger) { ledger.admit(0, 11, 5, 5); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("slot 0, which request 10 still holds")));
}

}  // namespace
}  // namespace pkv
