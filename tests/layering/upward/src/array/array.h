/* Included from below by core/wrong.c. */
