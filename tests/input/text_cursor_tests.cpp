// How far a parser has read.

#include "input/text_cursor.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace pkv::input {
namespace {

TEST(TextCursor, WalksTheTextAndTellsHowFar) {
  const std::string_view text = "one\ntwo";
  const char* read = text.data();
  TextCursor at(text.data(), &read);
  const TextCursor end(text.data() + text.size(), &read);
  std::string walked;
  for (; !(at == end); ++at) {
    EXPECT_EQ(read, text.data() + walked.size());
    walked += *at;
  }
  EXPECT_EQ(walked, text);
  EXPECT_EQ(read, text.data() + text.size());
}

TEST(TextCursor, AValueEndsBeforeTheLineEndThatWasReadToKnow) {
  const std::string_view text = "17\n\n";
  const char* const begin = text.data();
  EXPECT_EQ(end_of_value(begin, begin), begin);
  EXPECT_EQ(end_of_value(begin, begin + 2), begin + 2);
  EXPECT_EQ(end_of_value(begin, begin + 3), begin + 2);
  EXPECT_EQ(end_of_value(begin, begin + 4), begin + 3);  // one line end is what was read beyond it
  const std::string_view empty_line = "\n";
  EXPECT_EQ(end_of_value(empty_line.data(), empty_line.data() + 1), empty_line.data());
}

}  // namespace
}  // namespace pkv::input
