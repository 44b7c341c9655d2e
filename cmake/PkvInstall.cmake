# The public modules, importable as persistentkv::NAME after find_package(persistentkv), and what they are linked with.
include(CMakePackageConfigHelpers)

get_property(modules GLOBAL PROPERTY PKV_PUBLIC_MODULES)
get_property(linked_modules GLOBAL PROPERTY PKV_LINKED_MODULES)
list(APPEND modules ${linked_modules})
list(TRANSFORM modules PREPEND pkv_ OUTPUT_VARIABLE targets)
install(TARGETS ${targets} EXPORT persistentkv ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT persistentkv FILE persistentkvTargets.cmake NAMESPACE persistentkv:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/persistentkv)
install(DIRECTORY include/persistentkv DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY profiles/ DESTINATION ${CMAKE_INSTALL_DATADIR}/persistentkv/profiles FILES_MATCHING PATTERN "*.json")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(cmake/persistentkvConfig.cmake.in ${PROJECT_BINARY_DIR}/persistentkvConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/persistentkv)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/persistentkvConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/persistentkvConfig.cmake ${PROJECT_BINARY_DIR}/persistentkvConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/persistentkv)
