#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace pkv {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

DeviceProfile example() {
  DeviceProfile profile;
  profile.name = "example-1.0";
  profile.provenance = {"somebody", "2026-01-02", "535.1", "a \"quoted\" note\nof two lines"};
  profile.device_name = "A GPU";
  profile.num_sms = 132;
  profile.group_sizes = {4, 8};
  profile.head_dims = {128};
  profile.dtypes = {DType::kF16, DType::kBF16};
  profile.cost = {TimeUnits::kSi, 4012.7, 2.5, 3.1};
  profile.safe_route = Route::kStream;
  profile.candidates = {{Route::kStream, 0}, {Route::kWorkqueue, 24}, {Route::kFlashInferCudaCore, 0}};
  profile.gates = {{"a", {Route::kWorkqueue}, StepQuantity::kActiveRows, 2, std::nullopt},
                   {"b", {Route::kWorkqueue, Route::kStream}, StepQuantity::kKvTokens, 1, 1 << 20}};
  return profile;
}

std::string error_of(const std::string& json) {
  try {
    (void)parse_profile(json, "p.json");
  } catch (const IoError& error) {
    return error.what();
  }
  return "no error";
}

/// The example with the first `from` made `to`.
std::string edited(const std::string& from, const std::string& to) {
  std::string json = profile_to_json(example());
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

int line_of(const std::string& json, const std::string& text) {
  return 1 +
         static_cast<int>(std::count(json.begin(), json.begin() + static_cast<std::ptrdiff_t>(json.find(text)), '\n'));
}

TEST(ProfileJson, RoundTrips) { EXPECT_EQ(parse_profile(profile_to_json(example()), "p.json"), example()); }

TEST(ProfileJson, AwkwardNumbersRoundTrip) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> mantissa(0.1, 1.0);
  for (int round = 0; round < 200; ++round) {
    DeviceProfile profile = example();
    profile.cost.bandwidth_gb_per_s = std::ldexp(mantissa(random), static_cast<int>(random() % 60) - 40);
    profile.cost.launch_us = std::ldexp(mantissa(random), static_cast<int>(random() % 60) - 50);
    EXPECT_EQ(parse_profile(profile_to_json(profile), "p.json"), profile);
  }
}

TEST(ProfileJson, TimesOfTheMlpRoundTripAndAscend) {
  DeviceProfile profile = example();
  profile.mlp = {{1, 88.25}, {2, 88.5}, {64, 101.0}};
  const std::string json = profile_to_json(profile);
  EXPECT_EQ(parse_profile(json, "p.json"), profile);
  std::string bad = json;
  bad.replace(bad.find("\"batch\": 64"), 11, "\"batch\": 2");
  EXPECT_THAT(error_of(bad), HasSubstr("mlp[2].batch is 2, must be in [3, 65536]"));
  bad = json;
  bad.replace(bad.find("88.25"), 5, "-1.0");
  EXPECT_THAT(error_of(bad), HasSubstr("mlp[0].us is -1, must be in [0, 1000000000]"));
}

TEST(ProfileJson, EveryMissingFieldIsNamed) {
  for (const char* key : {"schema",          "schema_version", "name",       "provenance", "measured_by",
                          "driver",          "device",         "num_sms",    "calibrated", "group_sizes",
                          "head_dims",       "dtypes",         "cost",       "time_units", "bandwidth_gb_per_s",
                          "min_ctas_per_sm", "launch_us",      "safe_route", "candidates", "gates",
                          "route",           "routes",         "quantity"}) {
    const std::string quoted = '"' + std::string(key) + "\":";
    EXPECT_THAT(error_of(edited(quoted, "\"other\":")),
                AllOf(StartsWith("p.json:"), HasSubstr(std::string(key) + " is missing")));
  }
}

TEST(ProfileJson, UnknownFieldsAreRefusedWithTheirLine) {
  for (const char* before :
       {"\"name\":", "\"num_sms\":", "\"launch_us\":", "\"splits\":", "\"max\":", "\"dtypes\":", "\"driver\":"}) {
    const std::string json = edited(before, std::string("\"extra\": 1, ") + before);
    EXPECT_THAT(error_of(json), AllOf(StartsWith("p.json:" + std::to_string(line_of(json, "\"extra\"")) + ": "),
                                      HasSubstr("extra is unknown, must be one of ")));
  }
}

TEST(ProfileJson, OtherSchemasAreRefused) {
  EXPECT_THAT(error_of(edited("\"schema_version\": 1", "\"schema_version\": 2, \"new_field\": 0")),
              HasSubstr("p.json:3: schema_version is 2, must be 1"));
  EXPECT_THAT(error_of(edited("persistentkv.device-profile", "persistentkv.results")),
              HasSubstr("p.json:2: schema is \"persistentkv.results\""));
}

TEST(ProfileJson, ValuesOutOfBoundsAreNamedWithLineValueAndBound) {
  struct Case {
    const char* from;
    const char* to;
    const char* said;
  };
  for (const Case& c : {
           Case{"4012.7", "0", "cost.bandwidth_gb_per_s is 0, must be above 0"},
           Case{"4012.7", "-302.0", "cost.bandwidth_gb_per_s is -302, must be above 0"},
           Case{"4012.7", "1e30", "cost.bandwidth_gb_per_s is 1e+30, must be above 0 and at most 1000000"},
           Case{"4012.7", "NaN", "not valid JSON"},
           Case{"4012.7", "1e999", "not valid JSON"},
           Case{"4012.7", "\"4012.7\"", "cost.bandwidth_gb_per_s is string, must be a number"},
           Case{"4012.7", "null", "cost.bandwidth_gb_per_s is null, must be a number"},
           Case{"\"min_ctas_per_sm\": 2.5", "\"min_ctas_per_sm\": -1", "cost.min_ctas_per_sm is -1, must be above 0"},
           Case{"\"launch_us\": 3.1", "\"launch_us\": -0.5", "cost.launch_us is -0.5, must be in [0, 1000000]"},
           Case{"\"num_sms\": 132", "\"num_sms\": 0", "device.num_sms is 0, must be in [1, 65536]"},
           Case{"\"num_sms\": 132", "\"num_sms\": 28.5", "device.num_sms is number, must be an integer"},
           Case{"\"num_sms\": 132", "\"num_sms\": 18446744073709551615", "must be in [-2147483648, 2147483647]"},
           Case{"\"num_sms\": 132", "\"num_sms\": -9223372036854775808", "must be in [-2147483648, 2147483647]"},
           Case{"\"si\"", "\"imperial\"", "time_units is \"imperial\", must be one of si, paper"},
           Case{"\"kv_tokens\"", "\"tokens\"", "gates[1].quantity: quantity is \"tokens\", must be one of active_rows"},
           Case{"\"bf16\"", "\"fp8\"", "calibrated.dtypes[1]"},
           Case{"\"bf16\"", "\"fp16\"", "calibrated.dtypes[1] is there already"},
           Case{"\"name\": \"example-1.0\"", "\"name\": \"../x\"", "name is \"../x\", must be 1 to 128 letters"},
           Case{"\"safe_route\": \"stream\"", "\"safe_route\": \"padded-bucket\"",
                "safe_route is padded-bucket, must be one of candidates"},
           Case{"\"route\": \"flashinfer-cuda-core\"", "\"route\": \"policy\"", "candidates[2].route is policy"},
           Case{"\"route\": \"flashinfer-cuda-core\"", "\"route\": \"stream\"", "candidates[2] is there already"},
           Case{"\"route\": \"flashinfer-cuda-core\"", "\"route\": \"flashinfer-cuda-core\", \"splits\": 4",
                "candidates[2].splits is 4, must be absent or 0"},
           Case{"\"splits\": 24", "\"splits\": -4", "candidates[1].splits is -4, must be in [0, 1024]"},
           Case{"\"max\": 1048576", "\"max\": 0", "gates[1].min is 1, must be at most max, 0"},
           Case{"\"min\": 2", "\"min\": -2", "gates[0].min is -2, must be in [0, "},
           Case{"\"name\": \"a\"", "\"name\": \"\"", "gates[0].name is empty"},
       }) {
    const std::string json = edited(c.from, c.to);
    EXPECT_THAT(error_of(json), AllOf(StartsWith("p.json:"), HasSubstr(c.said)));
  }
  const std::string json = edited("\"min\": 2", "\"min\": -2");
  EXPECT_THAT(error_of(json), StartsWith("p.json:" + std::to_string(line_of(json, "-2")) + ": "));
}

TEST(ProfileJson, FieldsGivenTwiceAreRefused) {
  EXPECT_THAT(error_of(edited("\"num_sms\": 132", "\"num_sms\": 132, \"num_sms\": 28")),
              HasSubstr("device.num_sms is given twice"));
}

TEST(ProfileJson, NotJson) {
  const std::string whole = profile_to_json(example());
  for (std::size_t size = 0; size + 2 < whole.size(); size += 7)
    EXPECT_THAT(error_of(whole.substr(0, size)), AllOf(StartsWith("p.json:"), HasSubstr("not valid JSON"))) << size;
  EXPECT_THAT(error_of("{\n\n  \"schema\": oops }"), StartsWith("p.json:3: not valid JSON"));
  EXPECT_THAT(error_of(std::string("\0\x01\xff\xfe", 4)), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(std::string(500000, '[')), HasSubstr("nested deeper than 16 levels"));
  EXPECT_THAT(error_of("[]"), HasSubstr("the profile is array, must be an object"));
  EXPECT_THAT(error_of("7"), HasSubstr("the profile is number, must be an object"));
}

// Whatever single byte is spoiled, parsing ends in a profile that is valid or in an IoError.
TEST(ProfileJson, SpoiledBytesNeverEscape) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string whole = profile_to_json(example());
  for (int round = 0; round < 2000; ++round) {
    std::string json = whole;
    json[random() % json.size()] = static_cast<char>(random() % 256);
    try {
      (void)Router(parse_profile(json, "p.json"));  // which throws InvalidArgument for what is not valid
    } catch (const IoError& error) {
      EXPECT_THAT(error.what(), StartsWith("p.json:"));
    }
  }
}

TEST(ProfileJson, InvalidProfilesAreNotWritten) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::function<void(DeviceProfile&)>> spoil = {
      [&](DeviceProfile& p) { p.cost.bandwidth_gb_per_s = nan; },
      [&](DeviceProfile& p) { p.cost.bandwidth_gb_per_s = infinity; },
      [&](DeviceProfile& p) { p.cost.min_ctas_per_sm = nan; },
      [&](DeviceProfile& p) { p.cost.launch_us = nan; },
      [](DeviceProfile& p) { p.name.clear(); },
      [](DeviceProfile& p) { p.candidates.clear(); },
      [](DeviceProfile& p) { p.group_sizes.clear(); },
      [](DeviceProfile& p) { p.head_dims = {0}; },
      [](DeviceProfile& p) { p.gates[0].routes.clear(); },
      [](DeviceProfile& p) { p.gates[0].routes = {Route::kExactBuckets}; },
      [](DeviceProfile& p) { p.gates[0].min.reset(); },
      [](DeviceProfile& p) { p.device_name = "\xff\xfe"; },
  };
  for (std::size_t i = 0; i < spoil.size(); ++i) {
    DeviceProfile profile = example();
    spoil[i](profile);
    EXPECT_THROW((void)profile_to_json(profile), InvalidArgument) << i;
  }
}

}  // namespace
}  // namespace pkv
