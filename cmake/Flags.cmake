# Compiler and linker flags: warnings, numerics, hardening, sanitizers, instruction sets.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

# Everything that Emily compiles links this target.
add_library(emily_flags INTERFACE)
target_compile_definitions(emily_flags INTERFACE _GNU_SOURCE)
target_include_directories(emily_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(emily_flags INTERFACE -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes
  -Werror=missing-prototypes -Werror=vla -Wpointer-arith -Wno-missing-field-initializers
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
  $<$<BOOL:${EMILY_WERROR}>:-Werror>)
# No contraction across operations: eager, native and fused code must round alike. FMA is written where it is meant.
target_compile_options(emily_flags INTERFACE -ffp-contract=off -fno-math-errno)

# Level 3 checks sizes known only at run time; compilers and C libraries before 2022 stop at 2.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" EMILY_FORTIFY_3)
set(CMAKE_REQUIRED_FLAGS)
check_c_compiler_flag("-Werror -fstack-clash-protection" EMILY_STACK_CLASH)
if(EMILY_SANITIZE OR EMILY_FUZZ)
  if(EMILY_FUZZ)
    target_compile_options(emily_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
  if(EMILY_SANITIZE)
    target_compile_options(emily_flags INTERFACE -fsanitize=${EMILY_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(emily_flags INTERFACE -fsanitize=${EMILY_SANITIZE})
  endif()
else()
  target_compile_options(emily_flags INTERFACE -fstack-protector-strong
    $<$<BOOL:${EMILY_STACK_CLASH}>:-fstack-clash-protection>
    $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${EMILY_FORTIFY_3}>,3,2>>)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(emily_flags INTERFACE LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:--as-needed)
  endif()
endif()

# Gives each source the flags that its name asks for; other processors leave the x86 files out.
set(EMILY_AVX2 -mavx2 -mfma -mf16c)
set(EMILY_AVX512 ${EMILY_AVX2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd)
set(EMILY_VNNI ${EMILY_AVX512} -mavx512vnni)
set(EMILY_BF16 ${EMILY_AVX512} -mavx512bf16)
set(EMILY_AMX ${EMILY_AVX512} -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8)
function(emily_instruction_sets variable)
  set(sources ${${variable}})
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(FILTER sources EXCLUDE REGEX "_(avx2|avx512|vnni|bf16|amx)\\.c$")
  endif()
  foreach(source IN LISTS sources)
    if(source MATCHES "_(avx2|avx512|vnni|bf16|amx)\\.c$")
      string(TOUPPER ${CMAKE_MATCH_1} isa)
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${EMILY_${isa}}")
    endif()
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
