/* Between the host's memory and a device's (transfer.cu). See device.h; `wait` until all that was asked for is done. */
#ifndef EM_DEVICE_CUDA_TRANSFER_H
#define EM_DEVICE_CUDA_TRANSFER_H

#include "device/cuda/cuda.h"

em_status em__cuda_upload(em_device *device, const em__transfer *parts, size_t n);
em_status em__cuda_download(em_device *device, void *to, const void *from, size_t size);
em_status em__cuda_wait(em_device *device);

#endif
