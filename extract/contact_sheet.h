/* A page of images as the network sees them: --contact-sheet. */
#ifndef PF_EXTRACT_CONTACT_SHEET_H
#define PF_EXTRACT_CONTACT_SHEET_H

#include "extract/extraction.h"

/* Of a run whose cache is right, its dataset still open: images evenly spaced among all, after
 * resizing and cropping, or with --augmented the views of some; and those that were rejected, with
 * the reasons. */
int pf_contact_sheet_write(const PfExtraction *run, PfError *err);

#endif
