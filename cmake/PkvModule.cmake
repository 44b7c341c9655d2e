# A module is a folder of src/ and the folder of the same name in include/persistentkv/. It sees its own public headers
# and those of the modules it links, and no others: each module's headers are exposed through a folder of links made for
# it alone, so an include against the arrows of docs/architecture.md does not compile.

add_library(pkv_options INTERFACE)
target_compile_features(pkv_options INTERFACE cxx_std_20)
target_compile_options(pkv_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
if(PKV_WERROR)
  target_compile_options(pkv_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(PKV_SANITIZE)
  target_compile_options(pkv_options INTERFACE -fsanitize=${PKV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pkv_options INTERFACE -fsanitize=${PKV_SANITIZE})
  # What sanitizers add to the code makes GCC see uninitialised values that are not (in std::regex with GCC 12).
  target_compile_options(pkv_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
endif()

# pkv_add_module(NAME [INTERNAL [INSTALLED]] SOURCES ... [PUBLIC targets...] [PRIVATE targets...])
# INTERNAL: no public headers and not installed; modules that link it include its own as "NAME/x.hpp". INSTALLED: but its
# archive is, since modules that are installed are linked with it.
function(pkv_add_module name)
  cmake_parse_arguments(ARG "INTERNAL;INSTALLED" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(pkv_${name} STATIC ${ARG_SOURCES})
  add_library(persistentkv::${name} ALIAS pkv_${name})
  set_target_properties(pkv_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
  target_compile_features(pkv_${name} PUBLIC cxx_std_20)

  set(visible ${PROJECT_BINARY_DIR}/include/${name})
  if(ARG_INTERNAL)
    file(MAKE_DIRECTORY ${visible})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${visible}/${name} SYMBOLIC)
    target_include_directories(pkv_${name} PUBLIC $<BUILD_INTERFACE:${visible}>)
    if(ARG_INSTALLED)
      set_property(GLOBAL APPEND PROPERTY PKV_LINKED_MODULES ${name})
    endif()
  elseif(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/include/persistentkv/${name})
    file(MAKE_DIRECTORY ${visible}/persistentkv)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/include/persistentkv/${name} ${visible}/persistentkv/${name} SYMBOLIC)
    target_include_directories(pkv_${name} PUBLIC
      $<BUILD_INTERFACE:${visible}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_property(GLOBAL APPEND PROPERTY PKV_PUBLIC_MODULES ${name})
  endif()
  target_include_directories(pkv_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(pkv_${name}
    PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:pkv_options>)
endfunction()
