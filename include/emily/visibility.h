/* EM_API marks what the library exports; everything else is hidden. */
#ifndef EMILY_VISIBILITY_H
#define EMILY_VISIBILITY_H

#if defined(_WIN32)
#define EM_API
#else
#define EM_API __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
#define EM_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define EM_PRINTF(format_index, first_arg)
#endif

#endif
