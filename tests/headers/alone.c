/* The unit that a public header is compiled into; it contributes one declaration, because ISO C wants some. */
extern int nothing_else;
