#include "report/page/markup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Markup, EscapesWhatHasAMeaningInHtml) {
  EXPECT_EQ(escaped("a & b < c > d \" e ' f"), "a &amp; b &lt; c &gt; d &quot; e &#39; f");
  EXPECT_EQ(escaped("G = 4, \xc2\xb5s"), "G = 4, \xc2\xb5s");
}

TEST(Markup, JsonInAScriptCannotEndIt) {
  const nlohmann::json json = {{"</script>", "<!-- \xe2\x80\xa8 </SCRIPT> &"}};
  const std::string text = script_json(json);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) << text;
  EXPECT_EQ(nlohmann::json::parse(text), json);
}

TEST(Markup, NumbersAreToTheRightAndSortByTheirValues) {
  const std::string html = html_table("what <it> is", {"name", "time, us"}, {{std::string("<b>"), {12.3456, 1}}});
  EXPECT_THAT(html, HasSubstr("<caption>what &lt;it&gt; is</caption>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">&lt;b&gt;</th>"));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\" data-value=\"12.3456\">12.3</td>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\" class=\"number\"><button type=\"button\">time, us</button></th>"));
}

}  // namespace
}  // namespace pkv::report
