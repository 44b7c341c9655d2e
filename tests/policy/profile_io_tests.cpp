#include "persistentkv/policy/profile_io.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>

namespace pkv {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ProfileFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(testing::TempDir()) / fs::path(std::string("pkv-profile-") + test->name());
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path directory_;
};

TEST_F(ProfileFiles, ShippedProfilesAreBuiltInAsTheyStand) {
  EXPECT_THAT(built_in_profile_names(), testing::IsSupersetOf({"rtx3060-paper", "rtx3060-paper-timed"}));
  for (const std::string_view name : built_in_profile_names()) {
    const DeviceProfile profile = find_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_EQ(profile, load_profile(fs::path(PKV_PROFILES_DIR) / (std::string(name) + ".json")));
  }
}

TEST_F(ProfileFiles, PaperConstants) {
  for (const char* name : {"rtx3060-paper", "rtx3060-paper-timed"}) {
    const DeviceProfile profile = find_profile(name);
    EXPECT_EQ(profile.num_sms, 28);
    EXPECT_EQ(profile.cost, (CostConstants{TimeUnits::kPaper, 302, 4, 8}));
    EXPECT_THAT(profile.group_sizes, testing::ElementsAre(4));
  }
}

TEST_F(ProfileFiles, SavedProfilesAreFoundBeforeBuiltInOnes) {
  DeviceProfile mine = find_profile("rtx3060-paper");
  mine.cost.bandwidth_gb_per_s = 311.5;
  save_profile(mine, directory_ / "rtx3060-paper.json");
  EXPECT_EQ(load_profile(directory_ / "rtx3060-paper.json"), mine);

  const std::array directories = {directory_ / "absent", directory_};
  EXPECT_EQ(find_profile("rtx3060-paper", directories), mine);
  EXPECT_EQ(find_profile((directory_ / "rtx3060-paper.json").string()), mine);
  EXPECT_NE(find_profile("rtx3060-paper"), mine);
  EXPECT_EQ(find_profile("rtx3060-paper-timed", directories).name, "rtx3060-paper-timed");
}

TEST_F(ProfileFiles, SavingReplacesWholeOrNotAtAll) {
  const fs::path path = directory_ / "p.json";
  const DeviceProfile profile = find_profile("rtx3060-paper");
  save_profile(profile, path);
  const std::string before = read(path);
  DeviceProfile bad = profile;
  bad.num_sms = -1;
  EXPECT_THROW(save_profile(bad, path), InvalidArgument);
  EXPECT_EQ(read(path), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "no temporary file is left";

  fs::create_directory(directory_ / "taken");
  std::ofstream(directory_ / "taken" / "file") << "x";
  EXPECT_THROW(save_profile(profile, directory_ / "taken"), IoError);
  EXPECT_THROW(save_profile(profile, directory_ / "no" / "such" / "p.json"), IoError);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 2);
}

TEST_F(ProfileFiles, UnreadableFilesAreNamed) {
  const auto expect_error = [](const fs::path& path, const char* said) {
    try {
      (void)load_profile(path);
      FAIL() << path;
    } catch (const IoError& error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::StartsWith(path.string() + ":"), HasSubstr(said)));
    }
  };
  expect_error(directory_ / "absent.json", "cannot be opened");
  expect_error(directory_, "is a directory");
  std::ofstream(directory_ / "huge.json") << std::string((1 << 20) + 1, ' ');
  expect_error(directory_ / "huge.json", "has more than 1048576 bytes");
  std::ofstream(directory_ / "empty.json") << "";
  expect_error(directory_ / "empty.json", "not valid JSON");
}

TEST_F(ProfileFiles, UnknownNamesSayWhatWasSearched) {
  const std::array directories = {directory_};
  try {
    (void)find_profile("rtx9999", directories);
    FAIL();
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("\"rtx9999\""), HasSubstr("rtx3060-paper-timed"),
                                             HasSubstr(directory_.string())));
  }
  EXPECT_THROW((void)find_profile(""), IoError);
}

}  // namespace
}  // namespace pkv
