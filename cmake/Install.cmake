# What `make install` puts where: headers, both libraries, the command, emily.pc, the CMake package, manual, completions.
include(CMakePackageConfigHelpers)
set(EMILY_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Emily)

install(DIRECTORY include/emily TYPE INCLUDE FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
# Two export sets: linking the shared library must not ask for the development files of what it is built on.
install(TARGETS emily_shared EXPORT EmilyTargets)
install(TARGETS emily_static EXPORT EmilyStaticTargets)
if(TARGET emily)
  install(TARGETS emily)
endif()
install(EXPORT EmilyTargets NAMESPACE Emily:: DESTINATION ${EMILY_CMAKE_DIR})
install(EXPORT EmilyStaticTargets NAMESPACE Emily:: DESTINATION ${EMILY_CMAKE_DIR})
configure_package_config_file(cmake/EmilyConfig.cmake.in ${CMAKE_BINARY_DIR}/EmilyConfig.cmake
  INSTALL_DESTINATION ${EMILY_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/EmilyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/EmilyConfig.cmake ${CMAKE_BINARY_DIR}/EmilyConfigVersion.cmake
  DESTINATION ${EMILY_CMAKE_DIR})

# Relative to the .pc file itself, so that an installed tree may be moved; absolute when an option put it elsewhere.
file(RELATIVE_PATH EMILY_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" EMILY_PC_PREFIX ${EMILY_PC_PREFIX})
set(EMILY_PC_PREFIX "\${pcfiledir}/${EMILY_PC_PREFIX}")
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(EMILY_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
endif()
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  set(EMILY_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${dir}})
    set(EMILY_PC_${dir} ${CMAKE_INSTALL_${dir}})
  endif()
endforeach()
# A static libemily over the shared libraries that it stands on. Not Requires.private: that would ask for what those
# libraries need when they are static too. libcurl is not among them: it is opened when a download asks for it.
set(EMILY_PC_LDFLAGS ${JANSSON_LDFLAGS} ${PCRE2_LDFLAGS} ${UTF8PROC_LDFLAGS})
list(JOIN EMILY_PC_LDFLAGS " " EMILY_PC_PRIVATE)
configure_file(cmake/emily.pc.in ${CMAKE_BINARY_DIR}/emily.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/emily.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

file(GLOB EMILY_MANUALS CONFIGURE_DEPENDS docs/*.1)
install(FILES ${EMILY_MANUALS} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
if(EXISTS ${CMAKE_SOURCE_DIR}/tools/completion/emily.bash)
  install(FILES tools/completion/emily.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME emily)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/tools/completion/emily.fish)
  install(FILES tools/completion/emily.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/tools/completion/_emily)
  install(FILES tools/completion/_emily DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()
