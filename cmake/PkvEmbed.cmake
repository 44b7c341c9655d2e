# pkv_embed_json(VARIABLE FOLDER TYPE): sets VARIABLE to the initializers of a C++ array, TYPE{"name", R"json(text)json"} for
# each FOLDER/name.json, so that an installed program has these files wherever it is run.
function(pkv_embed_json variable folder type)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.json)
  set(initializers "")
  foreach(file IN LISTS files)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME_WLE)
    file(READ ${file} json)
    string(APPEND initializers "      ${type}{\"${name}\", R\"json(${json})json\"},\n")
  endforeach()
  set(${variable} "${initializers}" PARENT_SCOPE)
endfunction()

# pkv_embed_text(VARIABLE TYPE FILES...): the same for files of any text, TYPE{"name", R"pkvtext(text)pkvtext"sv}, where
# name has its extension. Links from minified JavaScript to its source maps are left out: nothing is there to follow them to.
function(pkv_embed_text variable type)
  set(initializers "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME)
    file(READ ${file} text)
    string(REGEX REPLACE "\n//# sourceMappingURL=[^\n]*" "" text "${text}")
    string(APPEND initializers "      ${type}{\"${name}\", R\"pkvtext(${text})pkvtext\"sv},\n")
  endforeach()
  set(${variable} "${initializers}" PARENT_SCOPE)
endfunction()
