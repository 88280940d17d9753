# The cuda plugin, libemily_cuda.so: built where nvcc is found, opened at run time. Its headers of cuBLASLt, NVRTC,
# cuSOLVER and cuFFT come from the toolkit or from PyPI's nvidia-* packages (EMILY_CUDA_INCLUDE).
set(EMILY_CUDA AUTO CACHE STRING "build the cuda plugin: ON, OFF, AUTO (where nvcc is found)")
set(EMILY_CUDA_ARCHS "80-real;90a-real;90-virtual" CACHE STRING "GPU architectures of the cuda plugin")
set(EMILY_CUDA_INCLUDE "" CACHE PATH "where cublasLt.h, nvrtc.h, cusolverDn.h and cufft.h are, if not with nvcc")
if(NOT EMILY_CUDA)
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(NOT EMILY_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "EMILY_CUDA is ON and nvcc was not found")
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

file(GLOB EMILY_CUDA_SOURCES CONFIGURE_DEPENDS src/device/cuda/*.cu src/device/cuda/*.c src/device/cuda/kernels/*.cu)
file(GLOB EMILY_CUDA_SHARED CONFIGURE_DEPENDS src/ops/*.c)
list(APPEND EMILY_CUDA_SHARED src/core/dtype.c src/core/float16.c src/core/number.c src/device/layout.c)
add_library(emily_cuda MODULE ${EMILY_CUDA_SOURCES} ${EMILY_CUDA_SHARED})
target_include_directories(emily_cuda PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${EMILY_CUDA_INCLUDE})
target_compile_definitions(emily_cuda PRIVATE _GNU_SOURCE)
target_compile_options(emily_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-Wno-unused-function
  --expt-relaxed-constexpr --expt-extended-lambda -t0 -diag-suppress=20012>
  $<$<BOOL:${EMILY_WERROR}>:$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>>
  $<$<COMPILE_LANGUAGE:C>:-fvisibility=hidden;-Wall;-Wextra>)
target_link_libraries(emily_cuda PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
target_link_options(emily_cuda PRIVATE LINKER:--no-undefined LINKER:--exclude-libs,ALL)
install(TARGETS emily_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/emily)
