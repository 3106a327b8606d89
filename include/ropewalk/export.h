/* Which names leave the shared library. Not for use outside of these headers;
   readable by C. */

#ifndef ROPEWALK_EXPORT_H_
#define ROPEWALK_EXPORT_H_

#if defined(__GNUC__)
#define ROPEWALK_EXPORT __attribute__((visibility("default")))
#else
#define ROPEWALK_EXPORT
#endif

#endif /* ROPEWALK_EXPORT_H_ */
