"""From photographs to training samples: folders, crops, augmentation and prefetching."""

from escsr.data.arbitrary import ArbitraryScaleDataset, LqFrom, degraded, sharpened
from escsr.data.augment import D4_VARIANTS, d4
from escsr.data.cache import PhotoCache
from escsr.data.folder import FolderDataset
from escsr.data.loader import BatchLoader, Share
from escsr.data.paired import PairedDataset
from escsr.data.preparing import prepare_photos
from escsr.data.teacher import TeacherDataset
from escsr.data.teaching import prepare_teacher
from escsr.picture_files import list_images

__all__ = [
    "D4_VARIANTS",
    "ArbitraryScaleDataset",
    "BatchLoader",
    "FolderDataset",
    "LqFrom",
    "PairedDataset",
    "PhotoCache",
    "Share",
    "TeacherDataset",
    "d4",
    "degraded",
    "list_images",
    "prepare_photos",
    "prepare_teacher",
    "sharpened",
]
