# The cuda plugin, libemily_cuda.so: a target where nvcc is found, opened at run time (docs/cuda.md). It calls cuBLASLt,
# NVRTC, cuSOLVER and cuFFT, which it opens at first use. Their headers come from the toolkit or from PyPI's nvidia-*
# packages of python3; where there are none, src/device/cuda/declared says what of them is called.
set(EMILY_CUDA AUTO CACHE STRING "build the cuda plugin: ON, OFF, AUTO (where nvcc is found)")
set(EMILY_CUDA_WANTED "80-real;90a-real;90-virtual")
if(DEFINED ENV{CUDAARCHS}) # as CMake itself reads it
  set(EMILY_CUDA_WANTED "$ENV{CUDAARCHS}")
endif()
set(EMILY_CUDA_ARCHS "${EMILY_CUDA_WANTED}" CACHE STRING "GPU architectures of the cuda plugin")
# Any other code that runs on 9.0 lacks the matrix units that are used there, and would give nothing.
set(EMILY_CUDA_OTHERS ${EMILY_CUDA_ARCHS})
list(FILTER EMILY_CUDA_OTHERS EXCLUDE REGEX "^90a|^[0-8][0-9]-real$|^1[0-9][0-9][af]?-")
if(EMILY_CUDA_OTHERS AND NOT EMILY_CUDA_ARCHS MATCHES "90a(-real)?(;|$)")
  message(FATAL_ERROR "EMILY_CUDA_ARCHS=${EMILY_CUDA_ARCHS}: what runs on 9.0 needs 90a-real beside it")
endif()
set(EMILY_CUDA_INCLUDE "" CACHE STRING "where cublasLt.h, nvrtc.h, cusolverDn.h and cufft.h are, if not found")
# Nothing of the plugin is seen by a sanitizer, and a fuzz target uses no device.
if(NOT EMILY_CUDA OR (EMILY_CUDA STREQUAL AUTO AND (EMILY_SANITIZE OR EMILY_FUZZ)))
  return()
endif()
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER) # looked for again: it may have come since
  unset(CMAKE_CUDA_COMPILER CACHE)
endif()
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(NOT EMILY_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "the cuda plugin needs nvcc, which was not found: install CUDA's toolkit, or name it with CUDACXX")
  endif()
  message(STATUS "cuda plugin: not built, nvcc was not found")
  return()
endif()
set(CMAKE_CUDA_ARCHITECTURES ${EMILY_CUDA_ARCHS})
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)

# Folders of python3's packages that hold headers: nvidia/cu13/include, or one a library.
set(EMILY_CUDA_HINTS ${EMILY_CUDA_INCLUDE} ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
execute_process(COMMAND python3 -c "import glob, site, sys
for folder in dict.fromkeys(site.getsitepackages() + [site.getusersitepackages()] + sys.path):
    print(*glob.glob(folder + '/nvidia/*/include'), sep=';', end=';')"
  OUTPUT_VARIABLE EMILY_CUDA_PACKAGES ERROR_QUIET)
list(APPEND EMILY_CUDA_HINTS ${EMILY_CUDA_PACKAGES})
set(EMILY_CUDA_HEADERS)
foreach(header IN ITEMS cublasLt nvrtc cusolverDn cufft)
  find_path(EMILY_CUDA_${header} ${header}.h HINTS ${EMILY_CUDA_HINTS})
  if(NOT EMILY_CUDA_${header})
    list(APPEND EMILY_CUDA_MISSING ${header}.h)
  else()
    list(APPEND EMILY_CUDA_HEADERS ${EMILY_CUDA_${header}})
  endif()
endforeach()
if(EMILY_CUDA_MISSING) # all of them or none: they include one another
  set(EMILY_CUDA_HEADERS ${CMAKE_SOURCE_DIR}/src/device/cuda/declared)
endif()
list(REMOVE_DUPLICATES EMILY_CUDA_HEADERS)
message(STATUS "cuda plugin: for ${EMILY_CUDA_ARCHS}, headers of ${EMILY_CUDA_HEADERS}")

file(GLOB EMILY_CUDA_SOURCES CONFIGURE_DEPENDS src/device/cuda/*.cu src/device/cuda/*.c src/device/cuda/kernels/*.cu)
file(GLOB EMILY_CUDA_SHARED CONFIGURE_DEPENDS src/ops/*.c)
list(APPEND EMILY_CUDA_SHARED src/core/dtype.c src/core/float16.c src/core/number.c src/device/layout.c
  src/device/linalg.c src/device/linalg_move.c)
# What NVRTC compiles at run time: as text, without the includes; and here too it must not be contracted.
set(EMILY_CUDA_TEXTS "/* Made by cmake from headers that NVRTC compiles. */\n")
foreach(name IN ITEMS op_types op_floats op_math chain_math)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cuda/${name}.cuh)
  file(READ src/device/cuda/${name}.cuh text)
  string(REGEX REPLACE "#include \"[^\"]*\"\n" "" text "${text}")
  string(APPEND EMILY_CUDA_TEXTS "static const char em__text_${name}[] = R\"emily(${text})emily\";\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/cuda/cuda_texts.h CONTENT "@EMILY_CUDA_TEXTS@" @ONLY)
file(GLOB EMILY_CUDA_EXACT CONFIGURE_DEPENDS src/device/cuda/elementwise*.cu)
set_source_files_properties(${EMILY_CUDA_EXACT} PROPERTIES COMPILE_OPTIONS --fmad=false)
add_library(emily_cuda MODULE ${EMILY_CUDA_SOURCES} ${EMILY_CUDA_SHARED})
target_include_directories(emily_cuda PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include
  ${CMAKE_BINARY_DIR}/cuda
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_include_directories(emily_cuda SYSTEM PRIVATE ${EMILY_CUDA_HEADERS})
target_compile_definitions(emily_cuda PRIVATE _GNU_SOURCE)
target_compile_options(emily_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-Wno-unused-function
  --expt-relaxed-constexpr --expt-extended-lambda -t0 -diag-suppress=20012>
  $<$<BOOL:${EMILY_WERROR}>:$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>>
  $<$<COMPILE_LANGUAGE:C>:-fvisibility=hidden;-Wall;-Wextra>)
target_link_libraries(emily_cuda PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
# One symbol is seen: what the plugin shares with libemily in source it has for itself.
target_link_options(emily_cuda PRIVATE LINKER:--no-undefined LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack
  LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/plugin.map)
set_target_properties(emily_cuda PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/plugin.map)
install(PROGRAMS $<TARGET_FILE:emily_cuda> DESTINATION ${CMAKE_INSTALL_LIBDIR}/emily OPTIONAL) # where it was asked for
