"""The centres of cells: k-means by faiss, on GPUs where there are any."""

import logging

import torch

from pycurate.hardware import cores

NEVER = 2**31 - 1
SEED = 1234  # faiss's own default, set all the same: it decides how a centre without keys is placed anew


def k_means(keys: torch.Tensor, count: int, rounds: int = 8) -> torch.Tensor:
    """float32 (n, dim), n >= count -> float32 (count, dim): Lloyd's algorithm from the first `count` keys.

    The same keys give the same centres with any number of threads. Another processor or a GPU may round otherwise;
    centres are therefore computed once, by TRAIN, and stored, and nothing in the proof depends on where they lie.
    A centre is no longer than 1.01 if no key is longer than 1.
    """
    if count == 1:
        return keys[:1].clone() if len(keys) else keys.new_zeros((1, keys.shape[1]))
    # Here, for the many runs that need one cell do not pay for it. Always after torch: each brings an OpenMP runtime of
    # its own, which do not disturb each other as long as both are told how many threads to use.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells which libraries it tries
    import faiss

    faiss.omp_set_num_threads(cores())
    # Query by query, not by matrix products: these are twice as fast, but round by the number of threads.
    faiss.cvar.distance_compute_blas_threshold = NEVER
    points = keys.cpu().numpy()
    trained = faiss.Kmeans(
        points.shape[1],
        count,
        niter=rounds,
        seed=SEED,
        min_points_per_centroid=1,  # by default it warns of fewer than 39
        max_points_per_centroid=len(points),  # by default it draws 256
        gpu=faiss.get_num_gpus() > 0,
    )
    trained.train(points, init_centroids=points[:count])
    return torch.from_numpy(trained.centroids).to(keys.device)
