cmake_minimum_required(VERSION 3.25)
# Writes OUTPUT: the version, and the commit where git and a checkout are there.
set(commit unknown)
find_program(git git)
if(git)
  execute_process(COMMAND ${git} -C ${source_dir} describe --always --dirty --exclude=*
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${output} CONTENT
"#pragma once\n\nnamespace pkv::report {\ninline constexpr const char* kVersion = \"@version@\";\ninline constexpr const char* kCommit = \"@commit@\";\n}  // namespace pkv::report\n" @ONLY)
